"""An address of a network interface, held as long as a process of clinit runs.

`holder` is the process that clinit runs for an entry of mode `address`. It keeps renewing the
lifetime that the kernel has for the address, and never beyond the lease of the group (`lifetime`):
when everything of mosha on the machine is dead or frozen, the address disappears by itself.
"""
