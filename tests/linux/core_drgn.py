# Run by drgn over a core of Debian's kernel: what a developer asks first. `prog` is drgn's.
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import find_task, for_each_task
from drgn.helpers.linux.printk import get_dmesg

print("banner", prog["linux_banner"].string_().decode().split(" (")[0])
print("log", get_dmesg(prog).decode().count("\n"), "lines")
print("tasks", *sorted({task.comm.string_().decode() for task in for_each_task(prog)}))
modules = list_for_each_entry("struct module", prog["modules"].address_of_(), "list")
print("modules", *sorted(module.name.string_().decode() for module in modules))
if find_task(prog, 1):
    print("init")
    print(prog.stack_trace(find_task(prog, 1)))
