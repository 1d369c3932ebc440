"""Everything but identity: an explicit, readable, editable vector."""
