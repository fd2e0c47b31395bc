"""What is a number where it comes as text, and what is none: one table for all who read numbers.

The training, the server and the application are each held to it.
"""

NUMBERS = {
    "6.5": 6.5,
    "0": 0.0,
    "-0": 0.0,
    "007": 7.0,
    "+1": 1.0,
    "1.": 1.0,
    ".5": 0.5,
    "-.5e-3": -0.0005,
    "1E5": 100000.0,
    "2e+3": 2000.0,
    "1e-400": 0.0,
    "0.1000000000000000055511151231257827": 0.1,
    "3.4e38": 3.4e38,
    " 6.5 ": 6.5,
    "\t6.5\r\n": 6.5,
}

NOT_FINITE = ("nan", "NaN", "-nan", "inf", "+Infinity", "-INF", "1e999", "-1e999", "9" * 400)

NO_NUMBERS = (
    *("six", "1_0", "1_0.5", "1e1_0", "0x1f", "0b1", "1e", "e5", ".", "-", "+-1", "1-", "--1"),
    *("1 2", "1.2.3", "6,5", "1/2", "5%", "$5", "1f", "1j", "1L", "1;", "=1", "(1)", "'1'"),
    *("true", "None", "null", "in", "infinit", "#N/A", "\x00", "1\x00"),
    # float strips more than blanks, and reads the digits of other scripts
    *("1\v", "1\f", "1\x1c", "\N{NO-BREAK SPACE}1", "1\N{EM SPACE}", "1\N{ZERO WIDTH SPACE}"),
    *("\N{ARABIC-INDIC DIGIT THREE}", "\N{FULLWIDTH DIGIT SIX}.5", "\N{SUPERSCRIPT TWO}"),
    *("\N{VULGAR FRACTION ONE HALF}", "\N{MINUS SIGN}1", "\N{LATIN SMALL LETTER DOTLESS I}nf"),
)

GROUPED = ("1,234", "1 234", "1'234", "1\N{NARROW NO-BREAK SPACE}234.5")
"""No numbers either; only the application's form takes them, in the reader's own way."""

EMPTY = ("", " ", "\t", " \r\n")
