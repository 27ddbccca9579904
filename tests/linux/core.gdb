# Run by GDB over a core of Debian's kernel: each vCPU's backtrace, tasks, modules, and memory in its two ways.
set width 0
thread apply all backtrace
set $link = init_task.tasks.next
while $link != &init_task.tasks
  set $task = (struct task_struct *)((char *)$link - (long)&((struct task_struct *)0)->tasks)
  printf "task %s\n", $task->comm
  set $link = $link->next
end
set $link = modules.next
while $link != &modules
  printf "module %s\n", ((struct module *)((char *)$link - (long)&((struct module *)0)->list))->name
  set $link = $link->next
end
printf "a stack's end is %lx\n", *(long *)init_task.stack
printf "another's is %lx\n", *(long *)$task->stack
printf "physical memory %d\n", *(int *)(0x8000000000000000 + 0x1000000) == *(int *)0xffffffff81000000
