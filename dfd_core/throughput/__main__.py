from dfd_core.throughput.command import main

main()
