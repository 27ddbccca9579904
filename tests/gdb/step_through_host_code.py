# In GDB on ringside itself: goes on until each function that `wanted` names has been seen, through
# host code and what it calls instruction by instruction, and looks from each of them for main.
#   python wanted = {"stub_enter", ...}
#   source tests/gdb/step_through_host_code.py
# No breakpoint can be put into host code: its pages are shared, and not writable.
import gdb

ENTRY = "ringside::soft::Translator::run"
MOST_STEPS = 20000


def callers():
    names = []
    frame = gdb.newest_frame()
    while frame is not None:
        names.append((frame.name() or "?").split("(")[0])
        frame = frame.older()
    return names


def is_host_code(name):
    return name.startswith(("stub_", "translated_"))


gdb.execute("set suppress-cli-notifications on")
entry = gdb.Breakpoint(ENTRY, internal=True)
entry.silent = True
lost = 0
missing = set(wanted)
for _ in range(MOST_STEPS):
    names = callers()
    missing.discard(names[0])
    if is_host_code(names[0]) and "main" not in names:
        lost += 1
        print("lost at", hex(gdb.newest_frame().pc()), names)
    if not missing:
        break
    if names[0] == ENTRY or any(map(is_host_code, names)):
        gdb.execute("stepi", to_string=True)
    else:
        gdb.execute("continue", to_string=True)
entry.delete()
gdb.execute("set suppress-cli-notifications off")
print("lost: %d, not seen: %s" % (lost, " ".join(sorted(missing)) or "none"))
