"""The command line `id2face`."""
