"""`python -m bench durability`: how likely data are lost, by formula and by simulation over the ring's real layouts.

`assumptions` has what is put in, `formula` the Markov model, `copysets` what one must lose, `simulation` the
Monte-Carlo, `command` the tables of docs/durability.md.
"""
