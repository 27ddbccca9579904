#include "translator/whole_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/state_bytes.h"
#include "cli/start/files.h"
#include "time/record/apply.h"
#include "time/record/machine_hash.h"
#include "translator/copied_disk.h"

namespace ringside::testing {
namespace {

// So often a guest may sleep without executing anything in between.
constexpr unsigned kMostIdle = 100'000;

// What a journal's first line says of the run that it belongs to. The files are the caller's word:
// with others the end of the run is not the recorded one.
Result<time::RunIdentity> identity_in(const std::string& path) {
  std::ifstream file(path);
  std::string line, word;
  std::getline(file, line);
  std::istringstream words(line);
  time::RunIdentity identity;
  if (!(words >> word >> word >> word >> identity.vcpus >> word >> identity.memory >> word >>
        std::hex >> identity.content))
    return fail(ErrorCode::BadRequest, fmt::format("'{}' is no journal", path));
  return identity;
}

std::vector<std::byte> devices_of(WholeMachine& machine) {
  StateSaver saver;
  machine.machine().visit_state(saver);
  return std::move(saver.saved);
}

}  // namespace

WholeMachine::~WholeMachine() = default;

Result<std::unique_ptr<WholeMachine>> WholeMachine::create(
    const cli::Options& options, const soft::TranslatorOptions& translator) {
  std::unique_ptr<WholeMachine> made(
      new WholeMachine(TRY(hypervisor::GuestRam::create(options.memory))));
  TRY(made->load(options));
  TRY(made->power_on());
  if (!options.replay.empty()) TRY(made->open_journal(options.replay));
  machine::MachineOptions machine;
  machine.vcpus = options.cpus;
  if (made->journal_) machine.start_time = made->journal_->start().date;
  machine.debug_exit = options.debug_exit;
  machine.disks.assign(made->disks_.begin(), made->disks_.end());
  const auto say = [self = made.get()](std::span<const std::byte> bytes) {
    self->output_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  if (!std::holds_alternative<cli::NoStream>(options.serial))
    machine.serial[0] = machine::ByteSink(say);
  if (!std::holds_alternative<cli::NoStream>(options.debugcon))
    machine.debugcon = machine::ByteSink(say);
  machine.guest_gdb = options.guest_gdb.has_value();
  if (machine.guest_gdb) machine.guest_gdb_out = say;
  made->machine_ = std::make_unique<machine::Machine>(made->ram_, std::move(machine));
  soft::Options engine;
  engine.vcpus = options.cpus;
  engine.seed = made->journal_ ? made->journal_->start().seed : 0;
  const auto usual = options.processor.value_or(hypervisor::Processor::V2);
  engine.processor = made->journal_ ? made->journal_->start().processor : usual;
  engine.translator = translator;
  made->engine_ = soft::create(made->ram_, *made->machine_, made->entry_, engine);
  made->machine_->connect(*made->engine_);
  made->engine_->resume({0});
  return made;
}

Result<void> WholeMachine::load(const cli::Options& options) {
  for (const cli::DiskOption& disk : options.disks)
    disks_.push_back(TRY(CopiedDisk::open(disk.path, disk.read_only)));
  is_firmware_ = !options.bios.empty();
  request_.kernel_name = is_firmware_ ? options.bios : options.kernel;
  image_ = TRY(cli::read_file(request_.kernel_name, "kernel"));
  request_.kernel = image_.bytes();
  for (const cli::ModuleOption& module : options.modules) {
    modules_.push_back(TRY(cli::read_file(module.path, "initrd")));
    request_.modules.push_back({module.path, module.argument, modules_.back().bytes()});
  }
  request_.command_line = options.append;
  request_.vcpus = options.cpus;
  request_.virtio_devices = static_cast<unsigned>(disks_.size());
  return {};
}

Result<void> WholeMachine::power_on() {
  if (!is_firmware_) {
    entry_ = TRY(machine::boot(request_, ram_)).entry;
  } else if (engine_ == nullptr) {
    entry_ = TRY(machine::boot_firmware(request_.kernel_name, image_.bytes(), 0, ram_)).entry;
  } else {
    machine::shadow_firmware(image_.bytes(), ram_);
  }
  return {};
}

// The recorded machine was reset.
Result<void> WholeMachine::restart() {
  machine_->reset();
  TRY(power_on());
  engine_->reset_under_way(entry_);
  return {};
}

Result<void> WholeMachine::open_journal(const std::string& path) {
  const time::RunIdentity identity = TRY(identity_in(path));
  journal_ = TRY(time::JournalReader::open(path, identity));
  return {};
}

// Applies the inputs that are due, and sees to it that the slice stops at the next one. False: the
// recorded run was ended here from outside.
Result<bool> WholeMachine::prepare_slice(InsnCount total) {
  hypervisor::Progress stop{total};
  while (journal_) {
    const time::JournalEntry* const entry = journal_->next();
    const auto& end = journal_->end();
    if (entry == nullptr && (!end || end->by == time::JournalEnd::By::Guest)) break;
    const time::Position at = entry != nullptr ? entry->at : end->at;
    if (engine_->progress() > at.progress)
      return fail(ErrorCode::BadRequest, "the run has left the path of the journal");
    stop = std::min(stop, at.progress);
    // Time passes while the guest sleeps: until something wakes it, or until that moment.
    if (engine_->now() < at.time) {
      if (const auto idle = engine_->idle_until()) engine_->advance_to(std::min(*idle, at.time));
    }
    if (engine_->progress() < at.progress || engine_->now() < at.time) break;
    if (entry == nullptr) return false;
    TRY(time::apply(entry->input, *engine_, *machine_, [this] { return restart(); }));
    journal_->advance();
    stop = {total};
  }
  engine_->stop_at(stop);
  return true;
}

// Nothing can run: on to the next event. False: there is none, or the guest does nothing but sleep.
bool WholeMachine::sleep() {
  const auto until = engine_->idle_until();
  if (journal_ && journal_->next() != nullptr)
    return ++idle_ < kMostIdle;  // prepare_slice's affair
  if (!until || *until == kNever || ++idle_ == kMostIdle) return false;
  engine_->advance_to(*until);
  return true;
}

Result<void> WholeMachine::run_to(InsnCount total) {
  while (!is_over_ && !engine_->ended() && engine_->total_instructions() < total) {
    if (const auto event = engine_->take_event()) {
      engine_->resume(event->vcpu);
      continue;
    }
    if (!TRY(prepare_slice(total))) {
      is_over_ = true;
      break;
    }
    const hypervisor::Progress before = engine_->progress();
    if (engine_->run_slice()) {
      idle_ = 0;
    } else if (engine_->progress() == before && !engine_->ended() && !sleep()) {
      is_over_ = true;
    }
  }
  return {};
}

std::string WholeMachine::end() const {
  if (!engine_->ended()) return is_over_ ? "sleeps for ever, or was ended from outside" : "";
  return fmt::format("ended with status {} {}", engine_->ended()->exit_status(),
                     engine_->ended()->reason);
}

std::uint64_t WholeMachine::writes_to_disks() const {
  StateHasher hasher;
  for (const auto& disk : disks_) {
    std::uint64_t writes = disk->writes();
    hasher.field(writes);
  }
  return hasher.value();
}

std::optional<bool> WholeMachine::is_as_recorded() {
  if (!journal_ || !journal_->end() || journal_->next() != nullptr || end().empty())
    return std::nullopt;
  const time::JournalEnd& recorded = *journal_->end();
  return engine_->total_instructions() == recorded.at.progress.instructions &&
         time::hash_machine(*engine_, *machine_, ram_) == recorded.hash;
}

WholeTwins::WholeTwins(const cli::Options& options, const soft::TranslatorOptions& translator) {
  for (const Side side : {Side::Interpreted, Side::Translated}) {
    auto made =
        WholeMachine::create(options, side == Side::Interpreted ? interpreted() : translator);
    if (!made) throw std::runtime_error(made.error().text());
    machines_[static_cast<std::size_t>(side)] = *std::move(made);
  }
}

void WholeTwins::run_to(InsnCount total) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Result<void> ran = machines_[i]->run_to(total);
    if (!ran) errors_[i] = ran.error().text();
  }
}

std::string WholeTwins::difference(Depth depth) {
  WholeMachine &one = machine(Side::Interpreted), &other = machine(Side::Translated);
  std::string text = processor_difference(one.engine(), other.engine());
  const auto devices = devices_of(one), others = devices_of(other);
  if (devices != others) {
    const auto at = std::mismatch(devices.begin(), devices.end(), others.begin(), others.end());
    text += fmt::format("  devices: {} and {} bytes, which differ from byte {} on\n",
                        devices.size(), others.size(), at.first - devices.begin());
  }
  if (depth == Depth::Everything) text += memory_difference(one.ram(), other.ram());
  const auto say = [&](std::string_view what, const auto& left, const auto& right) {
    if (left != right)
      text += fmt::format("  {}: interpreted '{}', translated '{}'\n", what, left, right);
  };
  say("end", one.end(), other.end());
  say("errors", errors_[0], errors_[1]);
  say("length of the output", one.output().size(), other.output().size());
  if (one.output().size() == other.output().size()) say("output", one.output(), other.output());
  say("writes to disks", one.writes_to_disks(), other.writes_to_disks());
  return text;
}

}  // namespace ringside::testing
