"""The program: command line, configuration, composition. The only room that knows every other."""
