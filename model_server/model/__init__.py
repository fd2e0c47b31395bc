"""The model directory, and what is made of it: signature, columns, runtime."""
