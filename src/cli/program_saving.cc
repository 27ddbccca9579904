// The program's part in saved machines: where their files go, and what it is that is saved.
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "cli/notice.h"
#include "cli/program.h"

namespace ringside::cli {

// Where files go is looked at before the guest runs, which may be for days.
Result<void> Program::open_directories() {
  const auto open = [](Fd& into, const std::string& path, const char* option) -> Result<void> {
    into.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (into) return {};
    return fail(Error::from_errno(fmt::format("{}: directory '{}'", option, path), errno));
  };
  const Result<void> opened =
      open(files_directory_, options_.files.empty() ? "." : options_.files, "--files");
  if (!options_.files.empty()) TRY(opened);
  if (options_.save.empty()) return {};
  const std::string folder = std::filesystem::path(options_.save).parent_path();
  TRY(open(save_directory_, folder.empty() ? "." : folder, "--save"));
  const Result<void> place = time::check_place(save_place());
  if (!place) return fail(place.error().code(), "--save: " + place.error().text());
  return {};
}

time::SavePlace Program::save_place() const {
  return {save_directory_.get(), std::filesystem::path(options_.save).filename()};
}

bool Program::has_debugcon() const {
  return saved_ != nullptr ? saved_->options().debugcon
                           : !std::holds_alternative<NoStream>(options_.debugcon);
}

bool Program::has_guest_gdb() const {
  return saved_ != nullptr ? saved_->options().guest_gdb : options_.guest_gdb.has_value();
}

SaveSubjects Program::save_subjects() {
  return {*engine_, *machine_, ram_, [this]() -> Result<time::SavedOptions> {
            for (const auto& disk : past_disks_) {
              if (!disk->differs_from_image()) continue;
              return fail(ErrorCode::NotSupported,
                          "the guest is in its past, and its disk's image has what was written "
                          "since; 'monitor goto present' first");
            }
            time::SavedOptions saved;
            saved.vcpus = options_.cpus;
            saved.memory = options_.memory;
            saved.debug_exit = options_.debug_exit;
            saved.debugcon = has_debugcon();
            saved.guest_gdb = has_guest_gdb();
            for (const DiskOption& disk : options_.disks)
              saved.disks.push_back(TRY(look_at(disk)));
            return saved;
          }};
}

Result<void> Program::save_at_end(time::JournalEnd::By by) {
  if (by == time::JournalEnd::By::Guest) {
    notice("save: nothing is saved, because the guest has ended itself");
    return {};
  }
  time::SavedOptions options = TRY(save_subjects().options());
  const std::uint64_t size =
      TRY(time::save_machine(save_place(), std::move(options), *engine_, *machine_, ram_));
  notice("save: {} is written, {} KiB", options_.save, size >> 10);
  return {};
}

}  // namespace ringside::cli
