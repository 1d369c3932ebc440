"""A rendered face into the photograph: warp, mask, colour, seam, sharpness and grain."""
