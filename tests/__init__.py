"""What properties cannot show: facts of the world, and real processes, sockets and disks."""
