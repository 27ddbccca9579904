#include "cli/options/declare.h"

#include <fmt/format.h>

#include "cli/options/commit.h"

namespace ringside::cli {
namespace {

constexpr std::string_view kRunFooter =
    R"(Without KERNEL it is ./arch/x86/boot/bzImage, a kernel tree's, or else the host's own /boot/vmlinuz-*.
Linux has a console on this terminal and a busybox shell, 512M of memory, and sees the directory of
the start, read only, at /mnt/host. What is given is for this guest as for any: -i FILE instead of
the busybox, -a TEXT behind the command line, --share DIR instead of the directory, -n user for a
network, which the shell finds set up. A line on stderr has the command that attaches GDB, with the
kernel's symbols where they are (./vmlinux, /usr/lib/debug/boot).

Examples:
  ringside run -G 1234
      in a kernel tree: its kernel, to a shell, under the debugger
  ringside run -G w0 -c 4 -a quiet
      four vCPUs, held before the first instruction, at any free port
  ringside run --share ~/results -n user vmlinuz-6.12
      a folder in which the guest may write, and a network

On a terminal the guest gets every key: Ctrl-A h shows the keys that are ringside's, Ctrl-A d stops
the guest for a debugger, Ctrl-A x ends it. exit in the guest's shell switches it off: status 1.)";

constexpr std::string_view kFooter =
    R"(ENDPOINT is PORT, ADDRESS:PORT, [V6ADDRESS]:PORT, unix:PATH, stdio or fd:N (an inherited socket).
Without an address it is 127.0.0.1; port 0 is any free port, and the line 'gdb: listening on ...' on
stderr tells which.

Examples:
  ringside run -G 1234
      in a kernel tree, or anywhere with the host's own kernel: to a shell; 'ringside run --help'
  ringside -G 1234 vmlinuz -i initrd.img -a 'console=ttyS0'
      boots Linux; 'gdb vmlinux -ex "target remote :1234"' attaches at any time
  ringside -c 2 -G w1234 kernel.elf
      holds two vCPUs before the first instruction until a debugger says continue
  gdb kernel.elf -ex 'target remote | ringside -G wstdio kernel.elf'
      lets GDB start the machine itself

On a terminal COM1 gets every key: Ctrl-A h shows ringside's own, Ctrl-A d stops the guest for a
debugger, Ctrl-A x ends the machine, Ctrl-A Ctrl-A types a Ctrl-A.

Exit status: 0 the guest asked for a reboot, 1 power-off, 2 all vCPUs halted for good, 3 triple
fault, 4 error or ended from outside; with --against 0 the same run, 6 another one. The manual, ringside(1), has the rest.)";

std::string version_line() {
  const std::string line = "ringside " RINGSIDE_VERSION;
  return commit().empty() ? line : fmt::format("{} (commit {})", line, commit());
}

void declare_start(CLI::App& app, Words& words, Options& options) {
  const auto machine = [](CLI::Option* option) { option->group("Machine"); };
  machine(app.add_option("-c,--cpus", words.cpus, "Virtual CPUs, 1 to 64 (1)")->type_name("N"));
  machine(
      app.add_option("-m,--memory", words.memory, "Guest memory; K, M, G or T (256M; run: 512M)")
          ->type_name("SIZE"));
  machine(app.add_option("-e,--engine", words.engine,
                         "auto, soft (deterministic software CPU) or kvm (auto)")
              ->type_name("ENGINE"));
  machine(app.add_option("--cpu", words.cpu,
                         "Processor of the software CPU: x86-64-v2 or, with AVX2, x86-64-v3 (v2)")
              ->type_name("v2|v3|host"));
  machine(app.add_option("--pace", words.pace,
                         "Virtual time keeps to the wall clock, or runs ahead when it can (on)")
              ->type_name("on|off"));
  machine(app.add_option("--date", words.date,
                         "The guest's date at the start: the host's, or seconds since 1970 "
                         "(2024-01-01)")
              ->type_name("host|EPOCH"));
  machine(app.add_option("--seed", words.seed,
                         "Of the guest's random numbers, so that two recordings have one start")
              ->type_name("NUMBER"));
  machine(app.add_option("--translate", words.translate,
                         "Software CPU: translate hot code to host code, or interpret all (on)")
              ->type_name("on|off"));
  machine(app.add_option("--sandbox", words.sandbox,
                         "Once the guest runs, open, connect and execute nothing new (on)")
              ->type_name("on|off"));
  machine(app.add_option("--user", options.user,
                         "Started by root: whose rights to go on with, once everything is open")
              ->type_name("NAME"));
  machine(
      app.add_flag("--probe", options.probe, "Say what each engine can do on this host, and exit"));

  const auto boot = [](CLI::Option* option) { option->group("Boot"); };
  boot(app.add_option("-i,--initrd", words.initrd,
                      "Linux initrd, or multiboot module: 'FILE ARGUMENTS', repeatable")
           ->type_name("FILE")
           ->allow_extra_args(false));
  boot(app.add_option("--initramfs", words.initramfs,
                      "With run: what Linux unpacks for its root: this host's busybox with a "
                      "shell, all of a directory, or nothing (busybox)")
           ->type_name("busybox|DIR|none"));
  boot(app.add_option("-a,--append", words.append, "Kernel command line")->type_name("TEXT"));
  boot(app.add_option(
              "--bios", options.bios,
              "Firmware to start at the reset vector; UEFI's starts a KERNEL, if there is one")
           ->type_name("FILE"));
  boot(app.add_option("--firmware-vars", words.firmware_vars,
                      "Flash memory below the firmware, in which UEFI keeps its variables")
           ->type_name("FILE[,ro|,snapshot]"));
  boot(app.add_option("--restore", options.restore, "Go on with a saved machine, not a KERNEL")
           ->type_name("FILE"));
  boot(app.add_option("--save", options.save,
                      "Save the machine when it is ended from outside (software CPU)")
           ->type_name("FILE"));
}

void declare_debugging(CLI::App& app, Words& words, Options& options) {
  const auto debug = [](CLI::Option* option) { option->group("Debugging"); };
  debug(app.add_option("-G,--gdb", words.gdb,
                       "Serve a debugger; w: hold the guest until one continues it")
            ->type_name("[w]ENDPOINT"));
  debug(app.add_option("--gdb-allow", words.gdb_allow,
                       "Who may connect: this user and root, or any user of this host and, with a "
                       "token, other hosts (same-user)")
            ->type_name("same-user|any"));
  debug(app.add_option("--qmp", words.qmp,
                       "Serve QEMU's machine protocol, as far as drgn and others need it")
            ->type_name("unix:PATH"));
  debug(app.add_option("--on-kill", words.on_kill, "What a debugger's kill does (detach)")
            ->type_name("detach|stop"));
  debug(app.add_option("-g,--guest-gdb", words.guest_gdb,
                       "Bridge to a debug stub inside the guest, at port 0x224")
            ->type_name("ENDPOINT"));
  debug(app.add_option("--record", options.record,
                       "Write the journal of outside inputs (software CPU)")
            ->type_name("FILE"));
  debug(app.add_option("--replay", options.replay,
                       "Run a journal again to the same state (software CPU)")
            ->type_name("FILE"));
  debug(app.add_option("--against", options.against,
                       "With --replay: say where this other journal's run parts from it, and exit")
            ->type_name("FILE"));
  debug(app.add_option("--history", words.history,
                       "Memory for going back in the run (256M with -G; software CPU)")
            ->type_name("SIZE|off"));
  debug(app.add_option("--dump-on-panic", options.dump_on_panic,
                       "Write a core of a guest that dies: for gdb, crash, drgn")
            ->type_name("FILE"));
  debug(app.add_option("--files", options.files,
                       "Where files are that a debugger names (the directory of the start)")
            ->type_name("DIR"));
  debug(app.add_flag("--perf-map", options.perf_map,
                     "Software CPU: name translated code for perf, in /tmp/perf-PID.map"));
  debug(app.add_option("--log", words.log, "trace, debug, info, warning, error or off (warning)")
            ->type_name("LEVEL"));
}

void declare_devices(CLI::App& app, Words& words, Options& options) {
  const auto devices = [](CLI::Option* option) { option->group("Devices"); };
  devices(app.add_option("-s,--serial", words.serial,
                         "COM1: stdio, none, file:PATH or an ENDPOINT (stdio)")
              ->type_name("WHERE"));
  devices(app.add_option("--console", words.console,
                         "A virtio console, hvc0 in Linux: stdio (COM1 is none then), none, "
                         "file:PATH or an ENDPOINT (none)")
              ->type_name("WHERE"));
  devices(app.add_option("--vga", words.vga,
                         "A text screen on this terminal and a keyboard (COM1 is none then), or "
                         "none (none)")
              ->type_name("text|none"));
  devices(app.add_flag("--debug-exit", options.debug_exit,
                       "Port 0xf4: writing V ends with status (V << 1) | 1"));
  devices(app.add_flag("--test-device", options.test_device,
                       "Ports, interrupt lines and memory of kvm-unit-tests (QEMU's pc-testdev)"));
  devices(app.add_option("--debugcon", words.debugcon,
                         "Ports 0x402 and 0xe9: none, stdio or file:PATH (none)")
              ->type_name("WHERE"));
  devices(app.add_option("-d,--disk", words.disks,
                         "A raw image, or of a server nbd+unix:PATH or nbd://HOST; repeatable")
              ->type_name("FILE[,ro|,snapshot]")
              ->allow_extra_args(false));
  devices(app.add_option("-n,--net", words.network,
                         "A network card on a network of this user's rights, or none (none)")
              ->type_name("user[,forward=tcp|udp:ADDR:PORT:GUESTPORT]"));
  devices(app.add_option("--share", words.shares,
                         "A directory for the guest, by 9P over virtio, repeatable; or none")
              ->type_name("DIR[,tag=NAME][,ro]")
              ->allow_extra_args(false));
  devices(app.add_option("--vsock", words.vsock,
                         "Sockets between guest and host (virtio-vsock) by Unix sockets, or none "
                         "(none)")
              ->type_name("PATH[,cid=N]"));
  devices(app.add_option("--rng", words.rng,
                         "A virtio device with the host's random numbers, or none (none)")
              ->type_name("host|none"));
  devices(app.add_option("--virtio", words.virtio,
                         "Where these devices are: on the PCI bus, or at fixed addresses (pci)")
              ->type_name("pci|mmio"));
}

}  // namespace

void declare(CLI::App& app, Words& words, Options& options) {
  app.set_version_flag("--version", version_line(), "Show the version and exit");
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.add_option("KERNEL", options.kernel,
                 "Linux bzImage or vmlinux, multiboot 1 or 2, or PVH; by content")
      ->type_name("");
  declare_start(app, words, options);
  declare_debugging(app, words, options);
  declare_devices(app, words, options);
}

void describe(CLI::App& app, Command command) {
  app.get_formatter()->column_width(30);
  if (command == Command::Run) {
    app.name("ringside run");
    app.description("Starts a Linux kernel with a shell on this terminal.");
    app.footer(std::string(kRunFooter));
    app.get_option("KERNEL")->description("Linux bzImage or vmlinux");
    for (const char* refused : {"--bios", "--firmware-vars", "--restore"})
      app.get_option(refused)->group("");
    return;
  }
  app.description(
      "Runs a guest that GDB or LLDB inspects and controls from outside, with no help from\n"
      "the guest. 'ringside run' starts a Linux kernel with a shell: 'ringside run --help'.");
  app.footer(std::string(kFooter));
}

}  // namespace ringside::cli
