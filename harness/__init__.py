"""What tests, benchmark and trials share: processes, ports, client, load, machine, tables."""
