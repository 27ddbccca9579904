# What scripts/demo-linux has stock GDB do with Debian's kernel. $port is where ringside listens.
set pagination off
set confirm off
echo \n# Two virtual CPUs, held before the kernel's first instruction.\n
eval "echo (gdb) target remote 127.0.0.1:%d\\n", $port
eval "target remote 127.0.0.1:%d", $port
echo (gdb) break start_kernel\n
break start_kernel
echo (gdb) continue\n
continue
echo (gdb) backtrace\n
backtrace
echo (gdb) print linux_banner\n
print linux_banner
delete
echo \n# Later in the boot: the drivers start, and both virtual CPUs are up.\n
echo (gdb) break kobject_create_and_add\n
break kobject_create_and_add
tbreak do_basic_setup
disable 2
continue
enable 2
echo (gdb) continue\n
continue
echo (gdb) info threads\n
info threads
echo (gdb) delete\n
delete
echo (gdb) finish\n
finish
echo (gdb) stepi\n
stepi
echo \n# Let it run, and press Ctrl-C after a second.\n
echo (gdb) continue\n
shell (sleep 1; kill -INT $PPID) &
continue
echo (gdb) info threads\n
info threads
echo \n# Leave, and come back while it runs.\n
echo (gdb) detach\n
detach
eval "echo (gdb) target remote 127.0.0.1:%d\\n", $port
eval "target remote 127.0.0.1:%d", $port
echo (gdb) info registers rip cr3\n
info registers rip cr3
echo (gdb) detach\n
detach
