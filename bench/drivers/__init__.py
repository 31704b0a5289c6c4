"""Load that sysbench does not make. Each runs as a process of its own: an order as JSON on stdin, figures on stdout."""
