#include "cli/qmp/qmp_machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/monitor/dump_command.h"
#include "cli/qmp/qmp_monitor.h"
#include "hypervisor/guest_memory.h"

namespace ringside::cli {
namespace {

using Outcome = std::shared_ptr<std::optional<Result<std::string>>>;

// Waits for what somebody else will put there.
class Awaited final : public qmp::Task {
 public:
  explicit Awaited(Outcome outcome) : outcome_(std::move(outcome)) {}
  std::optional<Result<std::string>> advance() override { return *outcome_; }

 private:
  Outcome outcome_;
};

class StopTask final : public qmp::Task {
 public:
  explicit StopTask(const hypervisor::HoldableVm& vm) : vm_(vm) {}
  std::optional<Result<std::string>> advance() override {
    if (vm_.is_held() && !vm_.all_out()) return std::nullopt;
    return std::string();
  }

 private:
  const hypervisor::HoldableVm& vm_;
};

// Within the debug server's turn, while every vCPU is out of the guest. The request stays there if
// who has asked goes.
std::unique_ptr<qmp::Task> ask(DebugEndpoint& debugger,
                               std::function<Result<std::string>()> request) {
  auto outcome = std::make_shared<std::optional<Result<std::string>>>();
  debugger.while_out([outcome, request = std::move(request)] { *outcome = request(); });
  return std::make_unique<Awaited>(outcome);
}

Result<std::string> nothing_to_say(const Result<void>& done) {
  if (!done) return fail(done.error());
  return std::string();
}

}  // namespace

QmpMachine::QmpMachine(QmpSubjects subjects)
    : subjects_(std::move(subjects)),
      has_kvm_(subjects_.uses_kvm || ::access("/dev/kvm", R_OK | W_OK) == 0) {}

// ---- What can be known

qmp::RunState QmpMachine::state() const {
  if (is_stopped()) return stopped_ ? qmp::RunState::Paused : qmp::RunState::SavesVm;
  if (subjects_.debugger.holds_guest()) return qmp::RunState::Debug;
  const bool awake = subjects_.machine.sleep() == machine::Sleep::Awake;
  return awake ? qmp::RunState::Running : qmp::RunState::Suspended;
}

// On KVM a vCPU has a thread of its own, which runs nothing but it; the main thread answers for it.
int QmpMachine::thread_of(unsigned /*vcpu*/) const { return ::getpid(); }

std::string QmpMachine::version() const { return "ringside " RINGSIDE_VERSION; }

qmp::DumpState QmpMachine::dump_state() const {
  qmp::DumpState state = dump_;
  if (progress_) std::tie(state.completed, state.total) = progress_();
  return state;
}

// ---- Running

void QmpMachine::hold_or_let_go() {
  if (stopped_ || writing_) {
    subjects_.vm.hold();
  } else {
    subjects_.vm.let_go();
  }
}

std::unique_ptr<qmp::Task> QmpMachine::stop() {
  stopped_ = true;
  hold_or_let_go();
  return std::make_unique<StopTask>(subjects_.vm);
}

void QmpMachine::cont() {
  stopped_ = false;
  hold_or_let_go();
}

void QmpMachine::quit() {
  if (std::exchange(quits_, true)) return;
  subjects_.tell(qmp::Shutdown{false, "host-qmp-quit"});
}

std::unique_ptr<qmp::Task> QmpMachine::reset() {
  return ask(subjects_.debugger, [this] { return nothing_to_say(subjects_.reset()); });
}

std::unique_ptr<qmp::Task> QmpMachine::power_down() {
  return ask(subjects_.debugger, [this]() -> Result<std::string> {
    TRY(subjects_.press_power_button());
    subjects_.tell(qmp::PowerDown{});
    return std::string();
  });
}

std::unique_ptr<qmp::Task> QmpMachine::wake_up() {
  return ask(subjects_.debugger, [this] { return nothing_to_say(subjects_.wake_up()); });
}

std::unique_ptr<qmp::Task> QmpMachine::monitor(std::string line, unsigned vcpu) {
  if (auto task = begin_monitor_line(*this, line)) return task;
  return ask(subjects_.debugger, [this, line = std::move(line), vcpu]() -> Result<std::string> {
    return look_by_monitor(*this, line, vcpu);
  });
}

// ---- Files

void QmpMachine::settle() {
  if (!is_writing() || !is_stopped()) return;
  // A debugger that was in the past has gone, and the machine is in its present again.
  const Result<bool> done =
      *writing_->moment == subjects_.moment()
          ? writing_->file->advance()
          : fail(ErrorCode::Busy,
                 "the debugger that had led the machine into its past has gone, and what it showed "
                 "is not there any more; nothing is kept");
  if (!done) {
    end_writing(fail(done.error()));
  } else if (*done) {
    end_writing({});
  }
}

bool QmpMachine::has_work() const {
  return is_writing() && is_stopped() && !writing_->file->waits_for_room();
}

std::unique_ptr<qmp::Task> QmpMachine::write(std::unique_ptr<GuestFile> file, bool is_dump) {
  const auto outcome = std::make_shared<std::optional<Result<std::string>>>();
  writing_.emplace(Writing{std::move(file), outcome, is_dump, std::nullopt});
  hold_or_let_go();
  subjects_.debugger.while_out([this] { writing_->moment = subjects_.moment(); });
  return std::make_unique<Awaited>(outcome);
}

void QmpMachine::end_writing(const Result<void>& how) {
  using Status = qmp::DumpState::Status;
  Writing ended = std::move(*writing_);
  writing_.reset();
  hold_or_let_go();
  *ended.result = nothing_to_say(how);
  if (!ended.is_dump) return;
  dump_ = dump_state();
  progress_ = nullptr;
  dump_.status = how ? Status::Completed : Status::Failed;
  subjects_.tell(qmp::DumpCompleted{dump_, how ? std::string() : how.error().text()});
}

Result<std::unique_ptr<qmp::Task>> QmpMachine::dump(qmp::DumpWish wish) {
  if (writing_) return fail(ErrorCode::Busy, "a file is being written");
  const auto* named = std::get_if<qmp::FileName>(&wish.place);
  const DumpPlace place{subjects_.files, named != nullptr ? named->name : std::string()};
  if (named != nullptr) TRY(place.folder.check(place.name, FileKind::Core));
  if (wish.linear && (named == nullptr || wish.range)) {
    return fail(ErrorCode::NotSupported,
                "with paging a dump is of all memory and goes into a file of --files");
  }
  const auto progress_of = [this](const auto& writer) {
    progress_ = [writer] { return std::pair(writer->done(), writer->total()); };
  };
  std::function<Result<GuestFile::Source>()> begin;
  std::unique_ptr<ByteTarget> target;
  if (wish.linear) {
    // It writes the file itself, which has holes.
    begin = [this, place, progress_of]() -> Result<GuestFile::Source> {
      const std::shared_ptr<guests::CoreWriter> writer = TRY(begin_dump(place, subjects_.core()));
      progress_of(writer);
      return [writer](std::vector<std::byte>&) { return writer->advance(); };
    };
    target = nullptr;
  } else {
    std::optional<guests::PhysicalRange> range;
    if (wish.range) range = guests::PhysicalRange{Gpa{wish.range->begin}, wish.range->length};
    begin = [this, range, progress_of]() -> Result<GuestFile::Source> {
      const std::shared_ptr<guests::CoreStream> stream =
          TRY(guests::CoreStream::begin(subjects_.core(), range));
      progress_of(stream);
      return [stream](std::vector<std::byte>& out) { return stream->advance(out); };
    };
    if (named != nullptr) {
      target = std::make_unique<ByteTarget>(
          TRY(WholeFile::create(place.folder, place.name, FileKind::Core)));
    } else {
      target = std::make_unique<ByteTarget>(std::move(std::get<Fd>(wish.place)), subjects_.loop);
    }
  }
  dump_ = {qmp::DumpState::Status::Active, 0, subjects_.ram.size()};
  progress_ = nullptr;
  return write(std::make_unique<GuestFile>(std::move(begin), std::move(target)), true);
}

Result<std::unique_ptr<qmp::Task>> QmpMachine::save_memory(qmp::MemoryWish wish) {
  if (writing_) return fail(ErrorCode::Busy, "a file is being written");
  auto target = std::make_unique<ByteTarget>(
      TRY(WholeFile::create(subjects_.files, wish.file, FileKind::Memory)));
  // One page at a time, because linear addresses lead anywhere.
  const auto next = [this, wish](std::vector<std::byte>& out, std::uint64_t at) -> Result<void> {
    const std::uint64_t address = wish.address + at;
    const std::uint64_t size = std::min(wish.size - at, kPageSize - (address & ~kPageMask));
    const auto read = [&]() -> Result<void> {
      const Gpa where = wish.vcpu
                            ? TRY(hypervisor::translate(subjects_.vm, {*wish.vcpu}, Gva{address}))
                            : Gpa{address};
      out.resize(out.size() + size);
      const std::span<std::byte> added = std::span(out).last(size);
      TRY(subjects_.vm.memory().read_ram(where, added));
      subjects_.debugger.hide_breakpoints(where, added);
      return {};
    };
    if (read()) return {};
    return fail(ErrorCode::BadAddress,
                fmt::format("Invalid addr {:#018x}/size {} specified", address, wish.size));
  };
  const auto begin = [wish, next]() -> Result<GuestFile::Source> {
    return
        [wish, next, at = std::uint64_t{0}](std::vector<std::byte>& out) mutable -> Result<bool> {
          constexpr std::size_t kSlice = 256u << 10;
          while (at < wish.size && out.size() < kSlice) {
            const std::size_t before = out.size();
            TRY(next(out, at));
            at += out.size() - before;
          }
          return at == wish.size;
        };
  };
  return write(std::make_unique<GuestFile>(begin, std::move(target)), false);
}

}  // namespace ringside::cli
