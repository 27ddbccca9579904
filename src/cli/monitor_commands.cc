#include "cli/monitor_commands.h"

#include <charconv>

#include "cli/engines.h"

namespace ringside::cli {

void add_machine_commands(debug::ServerOptions& server, const MonitorSubjects& subjects) {
  auto& commands = server.commands;
  commands.push_back({"info lapic", "[CPU]", "Shows the local APIC of a vCPU (0).",
                      [subjects](std::string_view text) -> std::string {
                        unsigned cpu = 0;
                        const char* const end = text.data() + text.size();
                        const auto [stop, error] = std::from_chars(text.data(), end, cpu);
                        if (!text.empty() &&
                            (error != std::errc() || stop != end || cpu >= subjects.vcpus))
                          return "info lapic: there is no such vCPU\n";
                        return subjects.machine.describe_local_apic({cpu});
                      }});
  commands.push_back({"info ioapic", "", "Shows the I/O APIC.", [subjects](std::string_view) {
                        return subjects.machine.describe_io_apic();
                      }});
  commands.push_back(
      {"info pic", "", "Shows the I/O APIC and the two 8259s.", [subjects](std::string_view) {
         return subjects.machine.describe_io_apic() + subjects.machine.describe_pics();
       }});
  commands.push_back(
      {"engine", "", "Says what runs the guest, and what this host has (--probe).",
       [subjects](std::string_view) { return subjects.engine() + "\n" + describe_engines(); }});
  const auto reset = [subjects](std::string_view) {
    const Result<std::string> done = subjects.reset();
    return done ? *done : "system_reset: " + done.error().text() + "\n";
  };
  commands.push_back(
      {"system_reset", "",
       "Starts the machine again: devices and vCPUs as at power-on, the kernel loaded anew.\n"
       "The guest stays stopped. Tell your debugger to forget its registers (GDB: flushregs).",
       reset});
  commands.push_back({"reset", "", "The same as system_reset.", reset});
}

}  // namespace ringside::cli
