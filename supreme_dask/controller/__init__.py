"""Carry plans out: the process that has the rights to make and remove workers."""
