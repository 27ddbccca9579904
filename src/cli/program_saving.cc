// The program's part in saved machines and cores: where their files go, and what it is that is
// saved.
#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "cli/program.h"
#include "cli/start/disks.h"
#include "cli/terminal/notice.h"
#include "nbd/address.h"

namespace ringside::cli {

// Where files go is looked at before the guest runs, which may be for days.
Result<void> Program::open_directories() {
  using sandbox::FolderOf;
  const auto of_option = [](const char* option, const Result<void>& place) -> Result<void> {
    if (place) return {};
    return fail(place.error().code(), fmt::format("{}: {}", option, place.error().text()));
  };
  const Result<void> opened = outside_.open_folder(FolderOf::Files);
  if (!options_.files.empty()) TRY(of_option("--files", opened));
  if (!options_.dump_on_panic.empty()) {
    TRY(of_option("--dump-on-panic", outside_.open_folder(FolderOf::Dump)));
    const DumpPlace place = dump_place();
    TRY(of_option("--dump-on-panic", place.folder.check(place.name, FileKind::Core)));
  }
  if (options_.save.empty()) return {};
  TRY(of_option("--save", outside_.open_folder(FolderOf::Save)));
  const time::SavePlace place = save_place();
  return of_option("--save", place.folder.check(place.name, FileKind::SavedMachine));
}

DumpPlace Program::dump_place() const {
  return {folder(sandbox::FolderOf::Dump),
          std::filesystem::path(options_.dump_on_panic).filename()};
}

guests::CoreSubject Program::core_subject(VcpuId first) const {
  guests::CoreSubject subject{*engine_, first};
  if (debugger_->has_breakpoint_bytes()) {
    subject.hide = [this](Gpa where, std::span<std::byte> copy) {
      debugger_->hide_breakpoints(where, copy);
    };
  }
  return subject;
}

// Once: a debugger may come back to where the guest died. What goes wrong changes nothing else.
void Program::dump_dead(VcpuId vcpu) {
  if (options_.dump_on_panic.empty() || std::exchange(is_dumped_, true)) return;
  const Result<void> done =
      dump(dump_place(), core_subject(vcpu), [this] { return signals_.received(); });
  if (!done) notice("dump: {}", done.error().text());
}

time::SavePlace Program::save_place() const {
  return {folder(sandbox::FolderOf::Save), std::filesystem::path(options_.save).filename()};
}

bool Program::has_debugcon() const {
  return saved_ != nullptr ? saved_->options().debugcon : is_there(options_.debugcon);
}

bool Program::has_text_card() const {
  return saved_ != nullptr ? saved_->options().text_card : options_.vga == Vga::Text;
}

bool Program::has_console() const {
  return saved_ != nullptr ? saved_->options().console : is_there(options_.console);
}

bool Program::has_guest_gdb() const {
  return saved_ != nullptr ? saved_->options().guest_gdb : options_.guest_gdb.has_value();
}

bool Program::has_firmware() const {
  return cli::has_firmware(options_, saved_ != nullptr ? &saved_->options() : nullptr);
}

// The folder's server knows of the files that are open in the present, and has done what the guest
// asked for since.
std::string Program::why_no_branch() const {
  if (const auto tag = machine_->share_in_use()) {
    return fmt::format(
        "the guest has mounted the shared folder '{}', in which what came after has been done",
        *tag);
  }
  return lines_.awaits_answer() ? "a shared folder has not answered yet" : "";
}

SaveSubjects Program::save_subjects() {
  return {*engine_, *machine_, ram_, [this]() -> Result<time::SavedOptions> {
            for (const auto& disk : past_disks_) {
              if (!disk->differs_from_image()) continue;
              return fail(ErrorCode::NotSupported,
                          "the guest is in its past, and its disk's image has what was written "
                          "since; 'monitor goto present' first");
            }
            for (const DiskOption& disk : images_of(options_)) {
              if (!disk.is_snapshot) continue;
              return fail(ErrorCode::NotSupported,
                          fmt::format("{} is a snapshot: what the guest has written is not "
                                      "in the image, and would be missing",
                                      disk.path));
            }
            if (const auto tag = machine_->share_in_use()) {
              return fail(
                  ErrorCode::NotSupported,
                  fmt::format("the guest has mounted the shared folder '{}', whose open files "
                              "cannot be saved; a machine can be saved before that",
                              *tag));
            }
            time::SavedOptions saved;
            saved.vcpus = options_.cpus;
            saved.memory = options_.memory;
            saved.debug_exit = options_.debug_exit;
            saved.test_device = options_.test_device;
            saved.debugcon = has_debugcon();
            saved.guest_gdb = has_guest_gdb();
            saved.virtio_bus = options_.virtio_bus;
            saved.processor = processor_;
            for (std::size_t i = 0; i < options_.disks.size(); ++i) {
              saved.disks.push_back(TRY(look_at(options_.disks[i])));
              if (nbd::is_address(options_.disks[i].path))
                saved.disks.back().size = disks_[i]->size();
            }
            saved.network = options_.network.has_value();
            for (const companions::SharedFolder& folder : options_.shares) {
              saved.shares.push_back({std::filesystem::absolute(folder.path), folder.tag,
                                      folder.access == share::Access::ReadOnly});
            }
            if (options_.vsock) saved.vsock_cid = options_.vsock->cid;
            saved.random = options_.rng == Rng::Host;
            saved.console = has_console();
            saved.text_card = has_text_card();
            if (options_.firmware_vars)
              saved.firmware_vars.push_back(TRY(look_at(*options_.firmware_vars)));
            if (has_firmware() && !options_.kernel.empty()) {
              saved.kernel_files.push_back(TRY(look_at({options_.kernel}, kKernel)));
              for (const ModuleOption& module : options_.modules)
                saved.kernel_files.push_back(TRY(look_at({module.path}, kInitrd)));
              saved.kernel_command_line = options_.append;
            }
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
