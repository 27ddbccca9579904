#include "cli/options/foreign_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/nearest_word.h"

namespace ringside::cli {
namespace {

struct Foreign {
  std::string_view word;
  std::string_view value;  // what the word behind it contains; empty: whatever
  std::string_view here;
};

constexpr std::string_view kDisk =
    "--disk FILE (-d), a raw image, or nbd+unix:SOCKET of a qemu-nbd that serves another one";
constexpr std::string_view kFlash = "--bios FILE for code, --firmware-vars FILE for variables";
constexpr std::string_view kNetwork =
    "--net user (-n), with ,forward=PROTOCOL:ADDR:PORT:GUESTPORT for hostfwd";
constexpr std::string_view kNoNetwork = "not needed: without --net (-n) there is no network";
constexpr std::string_view kShare = "--share DIR, with ,tag=NAME and ,ro";
constexpr std::string_view kTerminal = "not needed: COM1 is on the terminal";
constexpr std::string_view kOneMachine = "not needed: there is one machine";
constexpr std::string_view kNoOthers = "not needed: a machine has what its options name";
constexpr std::string_view kNoGraphics = "not there: --vga text has a text screen on the terminal";

// Nobody means a short option with its value when writing one of these. Of several with the same
// word the first whose value fits counts.
constexpr Foreign kUnmistakable[] = {
    {"-kernel", "", "KERNEL alone, without an option"},
    {"-initrd", "", "--initrd FILE (-i)"},
    {"-append", "", "--append TEXT (-a)"},
    {"-smp", "", "--cpus N (-c)"},
    {"-gdb", "", "--gdb ENDPOINT (-G), such as -G 1234"},
    {"-serial", "", "--serial WHERE (-s)"},
    {"-debugcon", "", "--debugcon WHERE"},
    {"-bios", "", "--bios FILE"},
    {"-pflash", "", kFlash},
    {"-drive", "if=pflash", kFlash},
    {"-drive", "", kDisk},
    {"-blockdev", "", kDisk},
    {"-hda", "", kDisk},
    {"-hdb", "", kDisk},
    {"-hdc", "", kDisk},
    {"-hdd", "", kDisk},
    {"-cdrom", "", "--disk FILE,ro (-d); there is no CD drive"},
    {"-snapshot", "", "--disk FILE,snapshot (-d), for each disk"},
    {"-boot", "",
     "not needed: a KERNEL is started, or firmware (--bios) tries disks in their order"},
    {"-netdev", "", kNetwork},
    {"-net", "none", kNoNetwork},
    {"-net", "", kNetwork},
    {"-nic", "none", kNoNetwork},
    {"-nic", "", kNetwork},
    {"-virtfs", "", kShare},
    {"-fsdev", "", kShare},
    {"-device", "virtio-net", "--net user (-n)"},
    {"-device", "virtio-blk", "--disk FILE (-d)"},
    {"-device", "virtio-9p", kShare},
    {"-device", "virtio-rng", "--rng host"},
    {"-device", "virtio-serial", "--console WHERE"},
    {"-device", "virtconsole", "--console WHERE"},
    {"-device", "vsock", "--vsock PATH, with ,cid=N"},
    {"-device", "isa-debug-exit", "--debug-exit, whose port is 0xf4"},
    {"-device", "isa-debugcon", "--debugcon WHERE"},
    {"-device", "pc-testdev", "--test-device"},
    {"-device", "",
     "--disk (-d), --net (-n), --share, --vsock, --rng or --console, for each device; "
     "there are no others"},
    {"-object", "rng-", "--rng host"},
    {"-object", "memory-backend", "--memory SIZE (-m)"},
    {"-object", "", "not there: each device has an option of its own"},
    {"-chardev", "", "the WHERE of --serial (-s), --console, --debugcon or --qmp"},
    {"-rtc", "", "--date host or --date EPOCH"},
    {"-seed", "", "--seed NUMBER"},
    {"-icount", "", "--engine soft (-e), which counts always, with --record or --replay FILE"},
    {"-loadvm", "", "--restore FILE"},
    {"-incoming", "", "--restore FILE"},
    {"-accel", "", "--engine kvm|soft (-e)"},
    {"-enable-kvm", "", "--engine kvm (-e)"},
    {"-nographic", "", kTerminal},
    {"-display", "", kTerminal},
    {"-curses", "", "--vga text"},
    {"-vga", "none", "not needed: without --vga there is no screen"},
    {"-vga", "", "--vga text"},
    {"-vnc", "", kNoGraphics},
    {"-spice", "", kNoGraphics},
    {"-usb", "", "not there, and not needed: --vga text has a PS/2 keyboard"},
    {"-machine", "", kOneMachine},
    {"-cpu", "", "--cpu v2 or v3"},
    {"-nodefaults", "", kNoOthers},
    {"-no-user-config", "", kNoOthers},
    {"-no-reboot", "", "not needed: a reboot ends ringside with status 0"},
    {"-monitor", "", "not needed: a debugger types 'monitor help'"},
    {"-mon", "", "not needed: a debugger types 'monitor help', programs have --qmp unix:PATH"},
    {"-qmp", "", "--qmp unix:PATH"},
};
constexpr Foreign kShort[] = {
    {"-s", "", "-G 1234"},
    {"-S", "", "-G w1234 (w: wait for a debugger)"},
    {"-M", "", kOneMachine},
};

// Whether words[i] is the text of --append, which may look like anything.
bool is_text(std::span<const std::string_view> words, std::size_t i) {
  return i > 0 && (words[i - 1] == "-a" || words[i - 1] == "--append");
}

// Whether words[i], which is -s, has a value as --serial takes it.
bool is_serial(std::span<const std::string_view> words, std::size_t i) {
  if (i + 1 == words.size()) return false;
  const std::string_view value = words[i + 1];
  const bool is_port = !value.empty() && value.back() >= '0' && value.back() <= '9';
  return value == "none" || value == "stdio" || is_port || value.starts_with("file:") ||
         value.starts_with("unix:");
}

const Foreign* find(std::span<const Foreign> table, std::string_view word, std::string_view next) {
  const auto fits = [&](const Foreign& foreign) {
    return foreign.word == word && next.find(foreign.value) != std::string_view::npos;
  };
  const auto found = std::find_if(table.begin(), table.end(), fits);
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

std::optional<std::string> qemu_options(std::span<const std::string_view> words,
                                        Suspicion suspicion) {
  std::vector<const Foreign*> met;
  bool sure = suspicion == Suspicion::AfterAnError;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (is_text(words, i) || (words[i] == "-s" && is_serial(words, i))) continue;
    const std::string_view next = i + 1 < words.size() ? words[i + 1] : std::string_view();
    const Foreign* foreign = find(kUnmistakable, words[i], next);
    if (foreign != nullptr) sure = true;
    if (foreign == nullptr) foreign = find(kShort, words[i], next);
    if (foreign != nullptr && std::find(met.begin(), met.end(), foreign) == met.end())
      met.push_back(foreign);
  }
  if (!sure || met.empty()) return std::nullopt;
  std::string list;
  for (const Foreign* foreign : met) {
    list += fmt::format("{}{}{}{} is {}", list.empty() ? "" : "; ", foreign->word,
                        foreign->value.empty() ? "" : " ", foreign->value, foreign->here);
  }
  return "options as QEMU has them, and what to type here: " + list;
}

std::optional<std::string> unknown_option(std::span<const std::string_view> words,
                                          std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--") || words[i] == "--" || is_text(words, i)) continue;
    const std::string_view name = words[i].substr(2, words[i].find('=') - 2);
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::optional<std::string_view> meant = nearest_word(name, names);
    return fmt::format("there is no option --{}{}", name,
                       meant ? fmt::format("; --{} is near to it", *meant) : std::string());
  }
  return std::nullopt;
}

}  // namespace ringside::cli
