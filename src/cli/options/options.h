// The command line as values. Parsing it touches no file, no socket and no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "companions/shared_folder.h"
#include "machine/bus/platform_map.h"
#include "network/options.h"
#include "platform/processor.h"
#include "ringside/admission.h"
#include "ringside/options.h"
#include "time/record/pace.h"
#include "transport/endpoint.h"
#include "vsock/options.h"

namespace ringside::cli {

enum class EngineChoice { Auto, Soft, Kvm };
using time::Pace;

struct NoStream {};
struct StdioStream {};
struct FileStream {
  std::string path;
};
// Where the bytes of a device go.
using Stream = std::variant<NoStream, StdioStream, FileStream, transport::Endpoint>;
inline bool is_there(const Stream& stream) { return !std::holds_alternative<NoStream>(stream); }

struct GdbOption {
  transport::Endpoint endpoint;
  bool wait = false;
};

// An initrd or module: the file, and for multiboot the text after the first blank. A file whose
// name has blanks in it has no such text.
struct ModuleOption {
  std::string path;
  std::string argument;
  // Of what was made here instead of being read; null otherwise.
  std::shared_ptr<const std::vector<std::byte>> content = nullptr;
};

// What Linux unpacks for its first root.
enum class Initramfs : std::uint8_t { Busybox, Directory, None };

// Of `ringside run`, which takes a kernel and what goes with it from where they usually are.
struct RunCommand {
  Initramfs initramfs = Initramfs::Busybox;
  std::string directory;  // of Initramfs::Directory
  std::string symbols;    // the kernel's vmlinux, once it was found
};

// Of the software CPU: hot code to host code, or nothing.
enum class Translate : std::uint8_t { Off, On };

// Of the process once the guest runs: it can open, connect and execute nothing new, or everything.
enum class Sandbox : std::uint8_t {
  Off,
  On,        // nothing was said: where the host can, and a line says where it cannot
  Required,  // it was asked for: where the host cannot, that is an error
};

// Random numbers for the guest by a device: the host's, or there is no device.
enum class Rng : std::uint8_t { None, Host };

// A screen for the guest's text, or there is none.
enum class Vga : std::uint8_t { None, Text };

struct HostsDate {};
// That the guest's clock begins with: the host's at the start, or seconds since 1970.
using Date = std::variant<HostsDate, std::int64_t>;

struct DiskOption {
  std::string path;          // or the address of an NBD server
  bool read_only = false;    // for the guest
  bool is_snapshot = false;  // the image stays as it is, and what the guest writes is lost
};

struct Options {
  std::optional<RunCommand> run;  // the kernel may be left out then
  std::string kernel;             // or
  std::string bios;
  unsigned cpus = 1;
  std::uint64_t memory = 256u << 20;
  EngineChoice engine = EngineChoice::Auto;
  std::vector<ModuleOption> modules;
  std::string append;
  std::vector<DiskOption> disks;
  std::optional<DiskOption> firmware_vars;
  machine::VirtioBus virtio_bus = machine::VirtioBus::Pci;
  std::optional<network::NetworkOptions> network;  // none: there is no card
  std::vector<companions::SharedFolder> shares;
  bool virtio_bus_given = false;  // with `restore`: it is to be as saved
  std::optional<GdbOption> gdb;
  std::optional<transport::Endpoint> guest_gdb;
  Stream serial = StdioStream{};
  Stream console = NoStream{};  // none: there is no such device
  std::optional<vsock::VsockOptions> vsock;
  Rng rng = Rng::None;
  Vga vga = Vga::None;
  Stream debugcon = NoStream{};
  bool debug_exit = false, test_device = false;
  Pace pace = Pace::On;
  // Of the random numbers of the software CPU. None: drawn for a recording, else the same in every
  // run.
  std::optional<std::uint64_t> seed;
  std::optional<Date> date;  // none: the same in every run
  // Of the software CPU. None: a replay's and a saved machine's own, else V2.
  std::optional<hypervisor::Processor> processor;
  Translate translate = Translate::On;
  bool perf_map = false;
  std::optional<transport::Endpoint> qmp;  // a unix socket's
  debug::OnKill on_kill = debug::OnKill::Detach;
  std::string record, replay;
  std::string against;                            // with `replay`: another journal to compare with
  std::string restore;                            // a saved machine instead of kernel and bios
  bool cpus_given = false, memory_given = false;  // with `restore`: they are to be as saved
  std::string save;                               // where the machine goes when it is ended
  std::string dump_on_panic;                      // where a core of a guest goes that dies
  std::string files;                              // a debugger's; empty: the directory of the start
  // Bytes for the past; 0: there is none. Nothing: the usual where there is a debugger.
  std::optional<std::uint64_t> history;
  Sandbox sandbox = Sandbox::On;
  std::string user;  // to whom root's rights are handed down; empty: nobody
  bool probe = false;
  log::Level log_level = log::Level::Warning;
  Allow gdb_allow = Allow::SameUser;  // who may connect to any endpoint that listens
};

// How many virtio devices these are.
unsigned virtio_devices(const Options& options);

// The disks, and behind them the file of variables if there is one: all whose content is part of
// what a run begins with, and changes in it.
std::vector<DiskOption> images_of(const Options& options);

struct CommandLine {
  Options options;
  // For --help and --version: print this and end with status 0.
  std::optional<std::string> print;
};

// Errors are one sentence for the user.
Result<CommandLine> parse_command_line(int argc, const char* const* argv);

// "256M": bytes with K, M, G or T for powers of 1024; a bare number counts MiB.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace ringside::cli
