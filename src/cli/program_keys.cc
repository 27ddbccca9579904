// The program's part in the keys behind Ctrl-A.
#include <utility>
#include <variant>

#include "cli/program.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {

bool Program::has_keyboard() const {
  return std::holds_alternative<StdioStream>(options_.serial) ||
         std::holds_alternative<StdioStream>(options_.console) || options_.vga == Vga::Text;
}

// A guest that a key has stopped is the debugger's once one has stopped it as well, so that it goes
// on when the debugger says so.
void Program::obey_keys() {
  if (!keyboard_) return;
  for (const KeyCommand command : keyboard_->take_commands()) {
    switch (command) {
      case KeyCommand::ShowKeys:
        notice("{}", kKeys);
        break;
      case KeyCommand::StopGuest:
        stop_for_debugger();
        break;
      case KeyCommand::Wake:
        if (const Result<void> done = wake_guest(); !done)
          notice("Ctrl-A w: {}", done.error().text());
        break;
      case KeyCommand::End:
        end_key_ = true;
        break;
    }
  }
  if (stopped_by_key_->is_held() && debugger_->holds_guest()) stopped_by_key_->let_go();
}

void Program::stop_for_debugger() {
  if (stopped_by_key_->is_held()) {
    stopped_by_key_->let_go();
    notice("guest: goes on");
    return;
  }
  const bool is_stopped = debugger_->holds_guest();
  if (!is_stopped) stopped_by_key_->hold();
  notice("guest: {}", is_stopped ? "a debugger has stopped it, or is waited for"
                                 : "stopped for a debugger; Ctrl-A d lets it go on");
  if (debugger_->where().empty()) {
    listen_at_a_signal();
    if (options_.run) return;  // and has said how
  }
  say_how_to_attach();
}

}  // namespace ringside::cli
