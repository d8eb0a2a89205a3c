"""Servers: made (`create` and what reads its body), shown (`view`, `lists`), changed (`actions`), and their parts."""
