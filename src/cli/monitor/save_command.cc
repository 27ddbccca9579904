#include "cli/monitor/save_command.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "time/saved/machine_saver.h"

namespace ringside::cli {
namespace {

using time::MachineSaver;

Result<std::unique_ptr<MachineSaver>> begin(const SaveSubjects& subjects,
                                            const time::SavePlace& place) {
  return MachineSaver::begin(place, TRY(subjects.options()), subjects.engine, subjects.machine,
                             subjects.ram);
}

class SaveWork final : public debug::MonitorWork {
 public:
  SaveWork(const SaveSubjects& subjects, const time::SavePlace& place)
      : name_(place.name), saver_(begin(subjects, place)) {
    if (saver_) instructions_ = subjects.engine.recordable()->total_instructions();
  }
  std::optional<std::string> advance() override {
    if (!saver_) return failed(saver_.error());
    const Result<bool> over = (*saver_)->advance();
    if (!over) return failed(over.error());
    if (!*over) return std::nullopt;
    return fmt::format("saved '{}' after {} instructions: {} KiB\n", name_, instructions_.value,
                       (*saver_)->written() >> 10);
  }
  std::string progress() const override {
    if (!saver_) return "save";
    return fmt::format("save: {} of {} MiB", (*saver_)->done() >> 20, (*saver_)->total() >> 20);
  }

 private:
  static std::string failed(const Error& error) { return "save: " + error.text() + "\n"; }

  std::string name_;
  InsnCount instructions_;
  Result<std::unique_ptr<MachineSaver>> saver_;
};

}  // namespace

debug::MonitorCommand save_command(const SaveSubjects& subjects, Folder& folder) {
  debug::MonitorCommand command;
  command.name = "save";
  command.usage = "FILE";
  command.help =
      "Saves the machine: CPUs, devices and memory. ringside --restore FILE goes on from here, as\n"
      "often as you like. FILE is made in the directory of --files; the disks stay where they are.";
  command.begin = [subjects, &folder](std::string_view name) {
    return std::make_unique<SaveWork>(subjects, time::SavePlace{folder, std::string(name)});
  };
  return command;
}

}  // namespace ringside::cli
