#include "cli/options/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/before_comma.h"
#include "cli/options/declare.h"
#include "cli/options/foreign_options.h"
#include "cli/options/number.h"
#include "machine/bus/platform_map.h"
#include "machine/machine.h"
#include "nbd/address.h"
#include "ringside/types.h"

namespace ringside::cli {
namespace {

constexpr std::uint64_t kRunMemory = 512u << 20;

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest, fmt::format(format, std::forward<Args>(args)...));
}

// The error of an option's value, with the option's name in front.
Error of_option(std::string_view option, const Error& error) {
  return Error(error.code(), fmt::format("{}: {}", option, error.text()));
}

template <typename T>
Result<T> choose(std::string_view option, std::string_view word,
                 std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::string names;
  for (const auto& choice : choices) {
    if (choice.first == word) return choice.second;
    names += (names.empty() ? "" : ", ") + std::string(choice.first);
  }
  return bad("{}: '{}' is not one of {}", option, word, names);
}

Result<transport::Endpoint> endpoint(std::string_view option, std::string_view text) {
  Result<transport::Endpoint> parsed = transport::parse_endpoint(text);
  if (!parsed) return fail(of_option(option, parsed.error()));
  return parsed;
}

Result<Stream> parse_stream(std::string_view option, std::string_view text, bool may_listen) {
  constexpr std::string_view kFile = "file:";
  if (text == "none") return NoStream{};
  if (text == "stdio") return StdioStream{};
  if (text.substr(0, kFile.size()) == kFile) {
    if (text.size() == kFile.size()) return bad("{}: 'file:' has no path", option);
    return FileStream{std::string(text.substr(kFile.size()))};
  }
  if (!may_listen) return bad("{}: '{}' is not one of none, stdio, file:PATH", option, text);
  return Stream(TRY(endpoint(option, text)));
}

Result<Date> parse_date(std::string_view text) {
  if (text == "host") return HostsDate{};
  std::int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || stop != text.data() + text.size() || seconds < 0 ||
      seconds > machine::kLastDate) {
    return bad(
        "--date: '{}' is not host, nor seconds since 1970 from 0 to {}, as 'date -ud 2024-01-01 "
        "+%s' "
        "prints them",
        text, machine::kLastDate);
  }
  return seconds;
}

Result<void> check_stdio(const Options& options) {
  const auto is_stdio = [](const transport::Endpoint& where) {
    return std::holds_alternative<transport::StdioEndpoint>(where);
  };
  std::vector<std::string_view> owners;
  if (options.gdb && is_stdio(options.gdb->endpoint)) owners.push_back("--gdb");
  if (options.guest_gdb && is_stdio(*options.guest_gdb)) owners.push_back("--guest-gdb");
  const bool has_client = !owners.empty();
  if (std::holds_alternative<StdioStream>(options.serial)) owners.push_back("--serial");
  if (std::holds_alternative<StdioStream>(options.console)) owners.push_back("--console");
  if (options.vga == Vga::Text) owners.push_back("--vga");
  // Debug output may stand between what the guest's console says, but not in a picture or between
  // a debugger's packets.
  if ((has_client || options.vga == Vga::Text) &&
      std::holds_alternative<StdioStream>(options.debugcon)) {
    owners.push_back("--debugcon");
  }
  if (owners.size() > 1) {
    return bad("{} and {} cannot both use stdio", owners[0], owners[1]);
  }
  return {};
}

// Linux with pci=off finds no device on that bus.
bool switches_pci_off(const std::string& command_line) {
  std::istringstream words(command_line);
  for (std::string word; words >> word;) {
    constexpr std::string_view kPci = "pci=";  // a list, as pci_setup() of Linux takes it apart
    if (!word.starts_with(kPci)) continue;
    std::istringstream list(word.substr(kPci.size()));
    for (std::string entry; std::getline(list, entry, ',');)
      if (entry == "off") return true;
  }
  return false;
}

Result<void> parse_virtio(const CLI::App& app, const Words& words, Options& options) {
  using machine::VirtioBus;
  options.virtio_bus = TRY(choose<VirtioBus>("--virtio", words.virtio,
                                             {{"pci", VirtioBus::Pci}, {"mmio", VirtioBus::Mmio}}));
  options.virtio_bus_given = app.count("--virtio") != 0;
  if (!options.virtio_bus_given && switches_pci_off(options.append))
    options.virtio_bus = VirtioBus::Mmio;
  return {};
}

constexpr std::string_view kDisk = "--disk";

Result<DiskOption> parse_image(std::string_view option, const std::string& text) {
  constexpr std::string_view kReadOnly = ",ro", kSnapshot = ",snapshot";
  const auto without = [&](std::string_view suffix) {
    return text.substr(0, text.size() - suffix.size());
  };
  DiskOption image{text};
  if (text.ends_with(kReadOnly)) image = {without(kReadOnly), true};
  if (text.ends_with(kSnapshot)) image = {without(kSnapshot), false, true};
  if (image.path.empty()) return bad("{}: '{}' has no file name", option, text);
  if (option == kDisk && nbd::is_address(image.path)) {
    const Result<std::string> uri = nbd::uri_of(image.path);
    if (!uri) return bad("{}: {}", option, uri.error().text());
    return image;
  }
  if (const auto part = name_before_comma(image.path)) {
    return bad("{}: there is no '{}'; behind '{}' there can be ,ro or ,snapshot, and not both",
               option, image.path, *part);
  }
  return image;
}

Result<void> parse_disks(const CLI::App& app, const Words& words, Options& options) {
  for (const std::string& text : words.disks)
    options.disks.push_back(TRY(parse_image(kDisk, text)));
  if (app.count("--firmware-vars") == 0) return {};
  if (options.bios.empty() && options.restore.empty())
    return bad("--firmware-vars is for firmware, so there must be a --bios");
  options.firmware_vars = TRY(parse_image("--firmware-vars", words.firmware_vars));
  return {};
}

// A saved machine brings its own options along: what would make it another is refused.
Result<void> check_restore(const CLI::App& app, Options& options) {
  for (const char* name :
       {"KERNEL", "--bios", "--initrd", "--append", "--date", "--seed", "--record", "--replay"}) {
    if (app.count(name) == 0) continue;
    return bad("--restore goes on with a saved machine, so there can be no {}", name);
  }
  if (options.engine == EngineChoice::Kvm)
    return bad("--restore needs the software CPU: --engine kvm cannot go on with its state");
  options.engine = EngineChoice::Soft;
  options.cpus_given = app.count("--cpus") != 0;
  options.memory_given = app.count("--memory") != 0;
  return {};
}

// Two machines are compared, and nobody else has to do with them.
Result<void> check_against(const CLI::App& app, const Options& options) {
  if (app.count("--against") == 0) return {};
  if (options.against.empty()) return bad("--against: '' has no file name");
  if (options.replay.empty()) return bad("--against compares with the journal of a --replay");
  for (const char* name : {"--gdb", "--record", "--restore", "--save", "--dump-on-panic", "--qmp",
                           "--history", "--date", "--perf-map"}) {
    if (app.count(name) != 0) return bad("--against compares two journals, without {}", name);
  }
  if (options.engine == EngineChoice::Kvm)
    return bad("--against needs the software CPU, not --engine kvm");
  return {};
}

// What there is no use for where Linux is started from its file.
Result<void> parse_run(const CLI::App& app, const Words& words, Options& options) {
  const bool given = app.count("--initramfs") != 0;
  if (!options.run) {
    if (!given) return {};
    return bad("--initramfs is for 'ringside run'; an initramfs of your own is -i FILE");
  }
  for (const char* name : {"--bios", "--firmware-vars", "--restore"})
    if (app.count(name) != 0) return bad("run starts a Linux kernel, so there can be no {}", name);
  if (given && !words.initrd.empty())
    return bad("--initramfs and --initrd are the same thing: one of them");
  RunCommand& run = *options.run;
  if (words.initramfs.empty()) return bad("--initramfs: '' is not busybox, a directory or none");
  if (words.initramfs == "none" || !words.initrd.empty()) {
    run.initramfs = Initramfs::None;
  } else if (words.initramfs != "busybox") {
    run.initramfs = Initramfs::Directory;
    run.directory = words.initramfs;
  }
  return {};
}

// `run` has the directory of the start where none is named. A guest with a folder cannot be saved.
Result<void> parse_shares(const Words& words, Options& options) {
  if (words.shares == std::vector<std::string>{"none"}) return {};
  options.shares = TRY(companions::parse_shares(words.shares));
  if (options.run && words.shares.empty() && options.save.empty())
    options.shares.push_back({".", "host", share::Access::ReadOnly});
  return {};
}

// What KVM gives a guest is the host's processor, and the software CPU is the same on every host.
Result<void> interpret_processor(const std::string& name, Options& options) {
  using hypervisor::Processor;
  if (name == "host") {
    if (options.engine == EngineChoice::Kvm) return {};
    return bad(
        "--cpu host needs --engine kvm: the software CPU is v2 or v3, the same on every host");
  }
  if (name != "v2" && name != "v3") return bad("--cpu: '{}' is not one of v2, v3, host", name);
  options.processor = name == "v2" ? Processor::V2 : Processor::V3;
  if (options.engine == EngineChoice::Kvm)
    return bad("--cpu {} is the software CPU's: with --engine kvm the guest has the host's", name);
  return {};
}

// Firmware starts disks, or a kernel that it is given.
Result<void> check_firmware_kernel(const Words& words, const Options& options) {
  if (options.kernel.empty() && !(words.initrd.empty() && words.append.empty()))
    return bad("--initrd and --append are for a KERNEL, and --bios is given none");
  if (words.initrd.size() > 1)
    return bad("--initrd: firmware (--bios) hands a KERNEL one file, not {}", words.initrd.size());
  return {};
}

Result<void> interpret(const CLI::App& app, const Words& words, Options& options) {
  if (app.count("--cpus") != 0) {
    const std::string& text = words.cpus;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), options.cpus);
    if (error != std::errc() || stop != text.data() + text.size() || options.cpus < 1 ||
        options.cpus > kMaxVcpus) {
      return bad("--cpus: '{}' is not a number from 1 to {}", text, kMaxVcpus);
    }
  }
  if (app.count("--memory") != 0) {
    const Result<std::uint64_t> size = parse_size(words.memory);
    if (!size) return fail(of_option("--memory", size.error()));
    if (*size < (1u << 20) || *size % kPageSize != 0) {
      return bad("--memory: '{}' is not at least 1M in whole 4 KiB pages", words.memory);
    }
    options.memory = *size;
  } else if (options.run) {
    options.memory = kRunMemory;
  }
  if (app.count("--history") != 0) {
    options.history = 0;
    if (words.history != "off") {
      const Result<std::uint64_t> size = parse_size(words.history);
      if (!size)
        return bad("--history: '{}' is not a size, such as 512M or 2G, nor off", words.history);
      // Less than one moment of the machine takes could not be kept to.
      if (*size != 0 && *size < (1u << 20))
        return bad("--history: '{}' is not at least 1M, nor off", words.history);
      options.history = *size;
    }
  }
  options.engine = TRY(choose<EngineChoice>(
      "--engine", words.engine,
      {{"auto", EngineChoice::Auto}, {"soft", EngineChoice::Soft}, {"kvm", EngineChoice::Kvm}}));
  if (app.count("--cpu") != 0) TRY(interpret_processor(words.cpu, options));
  if (app.count("--date") != 0) options.date = TRY(parse_date(words.date));
  if (app.count("--seed") != 0) {
    options.seed = parse_number(words.seed);
    if (!options.seed) return bad("--seed: '{}' is not a number of 64 bits: 31, 0x1f", words.seed);
    if (options.engine == EngineChoice::Kvm)
      return bad("--seed needs the software CPU, not --engine kvm");
    if (app.count("--replay") != 0)
      return bad("--seed is of a new run: a replay takes its seed from the journal");
  }
  options.pace = TRY(choose<Pace>("--pace", words.pace, {{"on", Pace::On}, {"off", Pace::Off}}));
  options.translate = TRY(choose<Translate>("--translate", words.translate,
                                            {{"on", Translate::On}, {"off", Translate::Off}}));
  options.sandbox =
      TRY(choose<Sandbox>("--sandbox", words.sandbox,
                          {{"on", app.count("--sandbox") != 0 ? Sandbox::Required : Sandbox::On},
                           {"off", Sandbox::Off}}));
  if (app.count("--user") != 0 && options.user.empty()) return bad("--user: '' is not a name");
  options.on_kill = TRY(
      choose<debug::OnKill>("--on-kill", words.on_kill,
                            {{"detach", debug::OnKill::Detach}, {"stop", debug::OnKill::Stop}}));
  options.gdb_allow = TRY(choose<Allow>("--gdb-allow", words.gdb_allow,
                                        {{"same-user", Allow::SameUser}, {"any", Allow::Any}}));
  options.log_level = TRY(choose<log::Level>("--log", words.log,
                                             {{"trace", log::Level::Trace},
                                              {"debug", log::Level::Debug},
                                              {"info", log::Level::Info},
                                              {"warning", log::Level::Warning},
                                              {"error", log::Level::Error},
                                              {"off", log::Level::Off}}));
  if (options.perf_map && options.engine == EngineChoice::Kvm)
    return bad("--perf-map is for the software CPU, not for --engine kvm");
  if (options.perf_map && options.translate == Translate::Off)
    return bad("--perf-map names translated code, and with --translate off there is none");
  if (options.history.value_or(0) != 0 && options.engine == EngineChoice::Kvm)
    return bad("--history needs the software CPU, not --engine kvm");
  if (!options.save.empty() && options.engine == EngineChoice::Kvm)
    return bad("--save needs the software CPU, not --engine kvm");
  if (app.count("--dump-on-panic") != 0 && options.dump_on_panic.empty())
    return bad("--dump-on-panic: '' has no file name");
  TRY(check_against(app, options));
  if (options.probe) return {};
  TRY(parse_run(app, words, options));

  if (app.count("--restore") != 0) {
    if (options.restore.empty()) return bad("--restore: '' has no file name");
    TRY(check_restore(app, options));
  } else if (app.count("--bios") != 0 && options.bios.empty()) {
    return bad("--bios: '' has no file name");
  } else if (!options.run && options.kernel.empty() && options.bios.empty()) {
    return bad("no KERNEL given; 'ringside --help' tells how");
  }
  if (!options.bios.empty()) TRY(check_firmware_kernel(words, options));
  options.append = words.append;
  for (const std::string& text : words.initrd) {
    std::error_code ignored;  // what cannot be looked at is read later, and named then
    const bool whole = std::filesystem::exists(text, ignored);
    const std::size_t blank = whole ? std::string::npos : text.find(' ');
    if (blank == 0 || text.empty()) return bad("--initrd: '{}' has no file name", text);
    options.modules.push_back(
        {text.substr(0, blank), blank == std::string::npos ? "" : text.substr(blank + 1)});
  }

  if (app.count("--gdb") != 0) {
    std::string_view text = words.gdb;
    const bool wait = !text.empty() && text.front() == 'w';
    if (wait) text.remove_prefix(1);
    options.gdb = GdbOption{TRY(endpoint("--gdb", text)), wait};
  }
  if (app.count("--guest-gdb") != 0) {
    options.guest_gdb = TRY(endpoint("--guest-gdb", words.guest_gdb));
  }
  if (app.count("--qmp") != 0) {
    options.qmp = TRY(endpoint("--qmp", words.qmp));
    if (!std::holds_alternative<transport::UnixEndpoint>(*options.qmp)) {
      return bad("--qmp: '{}' is not unix:PATH; who can reach the socket controls the guest",
                 words.qmp);
    }
    const std::size_t comma = words.qmp.find(',');
    if (comma != std::string::npos && words.qmp.find("=o", comma) != std::string::npos) {
      return bad("--qmp: the socket always listens and nobody waits for it, so type {} alone",
                 words.qmp.substr(0, comma));
    }
  }
  const auto uses_stdio = [](const transport::Endpoint& where) {
    return std::holds_alternative<transport::StdioEndpoint>(where);
  };
  options.console = TRY(parse_stream("--console", words.console, true));
  options.vga = TRY(choose<Vga>("--vga", words.vga, {{"text", Vga::Text}, {"none", Vga::None}}));
  if (app.count("--serial") != 0) {
    options.serial = TRY(parse_stream("--serial", words.serial, true));
  } else if ((options.gdb && uses_stdio(options.gdb->endpoint)) ||
             (options.guest_gdb && uses_stdio(*options.guest_gdb)) ||
             std::holds_alternative<StdioStream>(options.console) || options.vga == Vga::Text) {
    options.serial = NoStream{};
  }
  options.debugcon = TRY(parse_stream("--debugcon", words.debugcon, false));
  TRY(check_stdio(options));

  TRY(parse_virtio(app, words, options));
  TRY(parse_disks(app, words, options));
  for (const DiskOption& disk : images_of(options)) {
    if (disk.is_snapshot && !options.save.empty()) {
      return bad("--save: {} is a snapshot, and what the guest writes to it would be missing",
                 disk.path);
    }
  }
  options.network = TRY(network::parse_network(words.network));
  TRY(parse_shares(words, options));
  options.vsock = TRY(vsock::parse_vsock(words.vsock));
  options.rng = TRY(choose<Rng>("--rng", words.rng, {{"host", Rng::Host}, {"none", Rng::None}}));
  if (virtio_devices(options) > machine::kMaxVirtioDevices) {
    return bad(
        "{} virtio devices (--disk, --net, --share, --vsock, --rng, --console) are more "
        "than the {} that fit",
        virtio_devices(options), machine::kMaxVirtioDevices);
  }
  return {};
}

std::vector<std::string_view> long_names(const CLI::App& app) {
  std::vector<std::string_view> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      names.push_back(name);
  }
  return names;
}

// CLI11 speaks in exceptions; they end here.
Result<CommandLine> run_parser(CLI::App& app, Words& words, int argc, const char* const* argv,
                               CommandLine& line) {
  const std::vector<std::string_view> typed(argv + std::min(argc, 1), argv + argc);
  if (const auto foreign = qemu_options(typed, Suspicion::None)) return bad("{}", *foreign);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.print = app.help();
    return line;
  } catch (const CLI::CallForVersion& version) {
    line.print = std::string(version.what()) + "\n";
    return line;
  } catch (const CLI::ParseError& error) {
    std::optional<std::string> meant = qemu_options(typed, Suspicion::AfterAnError);
    if (!meant) meant = unknown_option(typed, long_names(app));
    return bad("{}; 'ringside --help' lists the options", meant ? *meant : error.what());
  }
  const Result<void> interpreted = interpret(app, words, line.options);
  if (interpreted) return line;
  const auto foreign = qemu_options(typed, Suspicion::AfterAnError);
  if (!foreign) return fail(interpreted.error());
  return bad("{}; {}", interpreted.error().text(), *foreign);
}

}  // namespace

unsigned virtio_devices(const Options& options) {
  const bool random = options.rng == Rng::Host, console = is_there(options.console);
  return static_cast<unsigned>(options.disks.size() + options.network.has_value() +
                               options.shares.size() + options.vsock.has_value() + random +
                               console);
}

std::vector<DiskOption> images_of(const Options& options) {
  std::vector<DiskOption> images = options.disks;
  if (options.firmware_vars) images.push_back(*options.firmware_vars);
  return images;
}

Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  const Command command =
      argc > 1 && argv[1] == std::string_view("run") ? Command::Run : Command::Start;
  CLI::App app("", "ringside");
  Words words;
  CommandLine line;
  declare(app, words, line.options);
  describe(app, command);
  if (command == Command::Start) return run_parser(app, words, argc, argv, line);
  line.options.run.emplace();
  return run_parser(app, words, argc - 1, argv + 1, line);
}

}  // namespace ringside::cli
