"""Archives: what is in them, what must not be, and reading them whole, in part, or in place.

`containers` opens zip, tar and 7z alike, from files, joined parts (`joined`) or over the network (`ranged`); every
member passes a `gate` first. `slices` is the file system of addresses such as `slice://512,20480@s3://bucket/reals.tar`.
"""
