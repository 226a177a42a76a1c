"""What records of topics hold: from bytes in any known format to points, and single values of these.

Pure: imports ``schemas`` only, so that the stream side and the API side read a record in the same way.
"""
