"""Tests of the real program as a process: started, killed, damaged, filled, and used by stock clients."""
