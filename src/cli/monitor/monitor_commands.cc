#include "cli/monitor/monitor_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "cli/options/number.h"
#include "cli/start/engines.h"
#include "cli/terminal/text_display.h"

namespace ringside::cli {
namespace {

// The vCPU that the arguments of a command name; 0 without any.
std::optional<VcpuId> parse_vcpu(std::string_view text, unsigned vcpus) {
  const auto number = text.empty() ? std::uint64_t{0} : parse_number(text);
  if (!number || *number >= vcpus) return std::nullopt;
  return VcpuId{static_cast<std::uint32_t>(*number)};
}

constexpr const char* kNoVcpu = "there is no such vCPU\n";

// i [/FMT] PORT, answered in QEMU's form.
std::string look_at_port(const machine::Machine& machine, std::string_view text) {
  unsigned width = 1;
  if (text.starts_with('/')) {
    const std::size_t end = std::min(text.find(' '), text.size());
    for (const char c : text.substr(1, end - 1)) {
      if (c == 'b' || c == 'h' || c == 'w')
        width = c == 'b' ? 1 : c == 'h' ? 2 : 4;
      else if (c != 'x')
        return "i: the size is b, h or w\n";
    }
    text.remove_prefix(end);
    while (text.starts_with(' '))
      text.remove_prefix(1);
  }
  const auto port = parse_number(text);
  if (!port || *port > 0xffff) return "i: wants a port between 0 and 0xffff; see help i\n";
  const auto value = machine.look_at_port({0}, static_cast<std::uint16_t>(*port), width);
  if (!value) return "i: KVM has that device itself, and cannot show it without an effect\n";
  return fmt::format("port{}[{:#06x}] = {:#0{}x}\n",
                     width == 1   ? 'b'
                     : width == 2 ? 'w'
                                  : 'l',
                     *port, *value, 2 * width + 2);
}

}  // namespace

void add_machine_commands(debug::ServerOptions& server, const MonitorSubjects& subjects) {
  auto& commands = server.commands;
  const auto show = [&](std::string name, std::string usage, std::string help,
                        std::function<std::string(std::string_view)> run) {
    commands.push_back(
        {std::move(name), std::move(usage), std::move(help), std::move(run), {}, true});
  };
  show("info lapic", "[CPU]", "Shows the local APIC of a vCPU (0).",
       [subjects](std::string_view text) -> std::string {
         const auto vcpu = parse_vcpu(text, subjects.vcpus);
         if (!vcpu) return std::string("info lapic: ") + kNoVcpu;
         return subjects.machine.describe_local_apic(*vcpu);
       });
  show("info ioapic", "", "Shows the I/O APIC.",
       [subjects](std::string_view) { return subjects.machine.describe_io_apic(); });
  show("info pic", "", "Shows the I/O APIC and the two 8259s.", [subjects](std::string_view) {
    return subjects.machine.describe_io_apic() + subjects.machine.describe_pics();
  });
  show("info mtree", "", "Shows what lies where in memory and among the ports.",
       [subjects](std::string_view) { return subjects.machine.describe_memory_map(); });
  show("info qtree", "", "Lists the devices with their places and interrupt lines.",
       [subjects](std::string_view) { return subjects.machine.describe_devices(); });
  show("info version", "", "Shows the version and the engine.", [subjects](std::string_view) {
    return fmt::format("ringside {}, {}\n", RINGSIDE_VERSION, subjects.engine());
  });
  show("info screen", "", "Shows the characters on the guest's text screen (--vga text).",
       [subjects](std::string_view) {
         const auto picture = picture_of(subjects.machine, subjects.ram);
         if (!picture) return "info screen: " + picture.error().text() + "\n";
         if (!picture->is_text) return std::string("The screen is in a graphics mode.\n");
         return screen::text_of(*picture);
       });
  show("i", "[/b|/h|/w] PORT",
       "Shows what a port would read now: 1, 2 or 4 bytes. A look, not an access: nothing changes.",
       [subjects](std::string_view text) { return look_at_port(subjects.machine, text); });
  show("engine", "", "Says what runs the guest, and what this host has (--probe).",
       [subjects](std::string_view) { return subjects.engine() + "\n" + describe_engines(); });
  const auto reset = [subjects](std::string_view) {
    const Result<std::string> done = subjects.reset();
    return done ? *done : "system_reset: " + done.error().text() + "\n";
  };
  commands.push_back(
      {"system_reset", "",
       "Starts the machine again: devices and vCPUs as at power-on, the kernel loaded anew.\n"
       "The guest stays stopped. Tell your debugger to forget its registers (GDB: maintenance "
       "flush\n"
       "register-cache).",
       reset});
  commands.push_back({"reset", "", "The same as system_reset.", reset});
  commands.push_back(
      {"nmi", "[CPU]",
       "Sends a non-maskable interrupt to a vCPU (0), as another processor would: no local APIC's\n"
       "masks hold it back. It takes it when it runs.",
       [subjects](std::string_view text) -> std::string {
         const auto vcpu = parse_vcpu(text, subjects.vcpus);
         if (!vcpu) return std::string("nmi: ") + kNoVcpu;
         const Result<void> noted = subjects.note(time::NonMaskableInterrupt{*vcpu});
         if (!noted) return "nmi: " + noted.error().text() + "\n";
         subjects.machine.send_nmi(*vcpu);
         return fmt::format("vCPU {} takes an NMI when it runs.\n", vcpu->value);
       }});
  commands.push_back(
      {"system_powerdown", "",
       "Presses the machine's power button (ACPI). What comes of it is the guest's affair, when it "
       "runs:\n"
       "Linux tells its user space, which switches off.",
       [subjects](std::string_view) -> std::string {
         const Result<void> noted = subjects.note(time::PowerButton{});
         if (!noted) return "system_powerdown: " + noted.error().text() + "\n";
         return subjects.machine.press_power_button()
                    ? "The power button is pressed; the guest hears of it when it runs.\n"
                    : "The power button is pressed, but the guest has not enabled it, as its ACPI "
                      "driver would.\n";
       }});
  commands.push_back(
      {"system_wakeup", "",
       "Wakes a guest that sleeps (ACPI S3), by the power button. It goes on when it runs.",
       [subjects](std::string_view) -> std::string {
         const Result<void> done = subjects.wake_up();
         return done ? "The guest is woken.\n" : "system_wakeup: " + done.error().text() + "\n";
       }});
}

}  // namespace ringside::cli
