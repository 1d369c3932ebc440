"""The attacks A1 to A14: each a function of the evidence, with its reference and a positive control."""
