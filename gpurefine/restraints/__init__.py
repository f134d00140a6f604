"""Prior knowledge: geometry, contacts and displacement parameters."""
