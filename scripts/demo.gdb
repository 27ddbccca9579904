# What scripts/show-demo has stock GDB do. $port is where ringside listens.
set pagination off
set confirm off
echo \n# The guest is held before its first instruction. Nothing in it knows of a debugger.\n
eval "echo (gdb) target remote 127.0.0.1:%d\\n", $port
eval "target remote 127.0.0.1:%d", $port
echo \n# It counts primes, each virtual CPU for itself. Break where it looks at a number.\n
echo (gdb) break look_at\n
break look_at
echo (gdb) continue\n
continue
echo (gdb) backtrace\n
backtrace
echo (gdb) print *worker\n
print *worker
echo \n# Go into the function that it calls, run that to its end, step the next source line.\n
echo (gdb) delete\n
delete
echo (gdb) tbreak is_prime\n
tbreak is_prime
echo (gdb) continue\n
continue
echo (gdb) finish\n
finish
echo (gdb) next\n
next
echo \n# The other virtual CPU is another thread.\n
echo (gdb) break look_at if $_thread == 2\n
break look_at if $_thread == 2
echo (gdb) continue\n
continue
echo (gdb) info threads\n
info threads
echo (gdb) thread apply all backtrace 1\n
thread apply all backtrace 1
echo \n# Registers that only the processor's owner sees.\n
echo (gdb) info registers cr0 cr3 efer\n
info registers cr0 cr3 efer
echo \n# Let it run, and press Ctrl-C after a second.\n
echo (gdb) delete\n
delete
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
