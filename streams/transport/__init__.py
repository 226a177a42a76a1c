"""Faust, made to hand over whole fetches and to commit only what we call safe."""
