#include "cli/monitor/dump_command.h"

#include <fmt/format.h>

#include <utility>

#include "base/whole_file.h"
#include "cli/terminal/notice.h"
#include "cli/terminal/progress.h"

namespace ringside::cli {
namespace {

using guests::CoreSubject;
using guests::CoreWriter;

// A little of it is not there, where the PC has its screen.
std::uint64_t mebibytes(std::uint64_t bytes) { return (bytes + (1u << 19)) >> 20; }

std::string progress_of(const CoreWriter& writer) {
  return fmt::format("{} of {} MiB", mebibytes(writer.done()), mebibytes(writer.total()));
}

std::string result_of(const std::string& name, const CoreWriter& writer) {
  return fmt::format("'{}' has {} MiB of memory, {} KiB of it not zero, {}", name,
                     mebibytes(writer.total()), writer.written() >> 10, writer.words());
}

class DumpWork final : public debug::MonitorWork {
 public:
  DumpWork(const DumpPlace& place, CoreSubject subject)
      : name_(place.name), writer_(begin(place, std::move(subject))) {}
  std::optional<std::string> advance() override {
    if (!writer_) return failed(writer_.error());
    const Result<bool> over = (*writer_)->advance();
    if (!over) return failed(over.error());
    if (!*over) return std::nullopt;
    return "dumped: " + result_of(name_, **writer_) + "\n";
  }
  std::string progress() const override {
    return "dump-guest-memory" + (writer_ ? ": " + progress_of(**writer_) : std::string());
  }

 private:
  // QEMU's command of that name has options.
  static Result<std::unique_ptr<CoreWriter>> begin(const DumpPlace& place, CoreSubject subject) {
    if (place.name.starts_with('-'))
      return fail(ErrorCode::BadRequest, "it takes no options, only the name of a file");
    return begin_dump(place, std::move(subject));
  }
  static std::string failed(const Error& error) {
    return "dump-guest-memory: " + error.text() + "\n";
  }

  std::string name_;
  Result<std::unique_ptr<CoreWriter>> writer_;
};

}  // namespace

Result<std::unique_ptr<CoreWriter>> begin_dump(const DumpPlace& place, CoreSubject subject) {
  WholeFile file = TRY(WholeFile::create(place.folder, place.name, FileKind::Core));
  return CoreWriter::begin(std::move(subject), std::move(file));
}

Result<void> dump(const DumpPlace& place, CoreSubject subject,
                  const std::function<std::string_view()>& interruption) {
  const auto writer = TRY(begin_dump(place, std::move(subject)));
  Progress progress;
  while (!TRY(writer->advance())) {
    if (const std::string_view why = interruption(); !why.empty())
      return fail(ErrorCode::Busy, fmt::format("given up, because {} has come", why));
    progress.at({"dump", writer->done(), writer->total()});
  }
  notice("dump: {}", result_of(place.name, *writer));
  return {};
}

debug::MonitorCommand dump_command(std::function<CoreSubject()> subject, Folder& folder) {
  debug::MonitorCommand command;
  command.name = "dump-guest-memory";
  command.usage = "FILE";
  command.help =
      "Writes a core of the guest, with all memory and the registers of each vCPU, for gdb, crash\n"
      "and drgn. FILE is made in the directory of --files.";
  command.begin = [subject = std::move(subject),
                   &folder](std::string_view name) -> std::unique_ptr<debug::MonitorWork> {
    return std::make_unique<DumpWork>(DumpPlace{folder, std::string(name)}, subject());
  };
  return command;
}

}  // namespace ringside::cli
