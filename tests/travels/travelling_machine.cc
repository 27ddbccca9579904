#include "travels/travelling_machine.h"

#include <stdexcept>

#include "cli/start/files.h"
#include "machine/boot/boot.h"
#include "support/guest_image.h"

namespace ringside::testing {

namespace {

constexpr std::uint64_t kMemory = 8u << 20, kDisk = 64u << 10;

}  // namespace

TravellingMachine::TravellingMachine(const TravelOptions& options)
    : ram_(hypervisor::GuestRam::create(kMemory).value()),
      path_(GuestImage(options.guest).path()),
      image_(std::make_shared<machine::testing::MemoryDisk>(kDisk)),
      disk_(std::make_shared<time::PastDisk>(image_, 0)) {
  const auto kernel = cli::read_file(path_, "kernel");
  if (!kernel) throw std::runtime_error(kernel.error().text());
  machine::BootRequest request;
  request.kernel_name = path_;
  request.kernel = kernel->bytes();
  request.vcpus = options.vcpus;
  request.virtio_devices = 1;
  const auto boot = machine::boot(request, ram_);
  if (!boot) throw std::runtime_error(boot.error().text());
  machine::MachineOptions machine;
  machine.vcpus = options.vcpus;
  machine.disks = {disk_};
  machine.serial[0] = machine::ByteSink([this](std::span<const std::byte> bytes) {
    if (travels_ && !travels_->in_past())
      output_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  machine_ = std::make_unique<machine::Machine>(ram_, std::move(machine));
  soft::Options engine;
  engine.vcpus = options.vcpus;
  engine.translator = options.translator;
  engine_ = soft::create(ram_, *machine_, boot->entry, engine);
  machine_->connect(*engine_);
  timeline_ = std::make_unique<time::Timeline>(*engine_, *machine_, time::Pace::Off);
  const time::RunIdentity identity{options.vcpus, kMemory, 0};
  if (!options.record.empty())
    timeline_->record(*time::JournalWriter::create(options.record, identity, {}));
  if (!options.replay.empty()) {
    timeline_->replay(*time::JournalReader::open(options.replay, identity),
                      []() -> Result<void> { return {}; });
  }
  timeline_->keep_log();
  history_ = std::make_unique<time::History>(
      time::HistorySubjects{*engine_, *machine_, ram_, {disk_}}, options.history);
  travels_ =
      std::make_unique<time::Travels>(*engine_, *timeline_, *history_, options.between_marks);
  travels_->begin();
  engine_->resume({0});
}

TravellingMachine::~TravellingMachine() = default;

std::uint64_t TravellingMachine::symbol(const std::string& name) const {
  const std::string file = path_.substr(path_.rfind('/') + 1);
  return GuestImage(file.substr(0, file.find('.')))[name.c_str()];
}

void TravellingMachine::sort_out_events() {
  while (const auto event = engine_->take_event()) {
    if (std::holds_alternative<hypervisor::exit::Parked>(event->exit)) continue;
    engine_->resume(event->vcpu);
  }
}

void TravellingMachine::run(unsigned slices) {
  for (unsigned i = 0; i < slices && !engine_->ended(); ++i) {
    sort_out_events();
    if (!timeline_->prepare_slice()) throw std::runtime_error("the timeline has failed");
    if (engine_->run_slice()) {
      travels_->slice_over();
    } else {
      timeline_->begin_wait(time::Timeline::Clock::now());
    }
  }
  sort_out_events();
}

void TravellingMachine::run_to(InsnCount count) {
  while (engine_->total_instructions() < count && !engine_->ended()) {
    engine_->stop_at(count);
    run(1);
  }
  engine_->stop_at(std::nullopt);
}

void TravellingMachine::end_recording() {
  if (!timeline_->finish(time::JournalEnd::By::Outside, hash()))
    throw std::runtime_error("the journal cannot be ended");
}

void TravellingMachine::type(const std::string& text) {
  machine::SerialInput input;
  for (const char c : text)
    input.bytes.push_back(static_cast<std::byte>(c));
  if (!timeline_->input(input)) throw std::runtime_error("no input");
}

void TravellingMachine::poke(Gpa address, std::uint8_t value) {
  const std::byte byte{value};
  if (!engine_->memory().write_ram(address, std::span(&byte, 1)))
    throw std::runtime_error("no memory there");
}

hypervisor::Arrival TravellingMachine::finish_journey() {
  for (;;) {
    auto arrived = travels_->advance();
    if (!arrived) continue;
    if (!*arrived) throw std::runtime_error(arrived->error().text());
    return **arrived;
  }
}

hypervisor::Arrival TravellingMachine::go(const hypervisor::Journey& journey) {
  if (const auto set_out = travels_->set_out(journey); !set_out)
    throw std::runtime_error(set_out.error().text());
  return finish_journey();
}

hypervisor::Arrival TravellingMachine::go_to(const time::Place& place) {
  travels_->set_out_to(place);
  return finish_journey();
}

std::uint64_t TravellingMachine::disk_hash() {
  std::vector<std::byte> content(disk_->size());
  if (!machine::read_all(*disk_, 0, content)) throw std::runtime_error("the disk cannot be read");
  StateHasher hasher;
  hasher.add(content);
  return hasher.value();
}

Gva TravellingMachine::rip(VcpuId vcpu) {
  return Gva{engine_->vcpu(vcpu).read_register(x86::Register::Rip)->as_u64()};
}

}  // namespace ringside::testing
