"""The tables of parameters, and the settings read from them."""
