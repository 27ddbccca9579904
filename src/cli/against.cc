#include "cli/against.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/start/disks.h"
#include "cli/start/engines.h"
#include "cli/start/payload.h"
#include "cli/terminal/progress.h"
#include "companions/device_lines.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "time/comparison.h"
#include "time/past_disk.h"
#include "time/rerun.h"

namespace ringside::cli {
namespace {

// A disk whose image nobody writes: what the guest writes lies over it.
class ScratchDisk final : public machine::BlockBackend {
 public:
  ScratchDisk(std::shared_ptr<machine::BlockBackend> image, bool read_only)
      : over_(std::move(image), 0), read_only_(read_only) {
    over_.enter_past();
  }
  std::uint64_t size() const override { return over_.size(); }
  bool read_only() const override { return read_only_; }
  bool is_remote() const override { return over_.is_remote(); }
  bool is_gone() const override { return over_.is_gone(); }
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    return over_.read(offset, out);
  }
  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override {
    return over_.write(offset, data);
  }
  Outcome flush() override { return Outcome::Done; }

 private:
  time::PastDisk over_;
  const bool read_only_;
};

// What both runs begin with.
struct Start {
  const Options& options;
  Payload payload;
  Images images;
};

Result<machine::BootResult> boot(const Start& start, hypervisor::GuestRam& ram) {
  if (start.options.bios.empty()) return machine::boot(start.payload.request, ram);
  return machine::boot_firmware(start.options.bios, start.payload.firmware.bytes(),
                                size_of_variables(start.options, start.images), ram);
}

// A machine that nobody outside sees or hears. Stays where it is made.
class QuietMachine {
 public:
  static Result<std::unique_ptr<QuietMachine>> create(const Start& start, std::string name,
                                                      time::JournalReader journal) {
    std::unique_ptr<QuietMachine> made(
        new QuietMachine(start, TRY(create_memory(start.options, nullptr))));
    TRY(made->build(std::move(name), std::move(journal)));
    return made;
  }
  time::Rerun& run() { return *run_; }

 private:
  QuietMachine(const Start& start, hypervisor::GuestRam ram)
      : start_(start), ram_(std::move(ram)) {}

  Result<void> build(std::string name, time::JournalReader journal) {
    boot_ = TRY(boot(start_, ram_));
    const Options& options = start_.options;
    machine::MachineOptions machine;
    machine.vcpus = options.cpus;
    machine.start_time = journal.start().date;
    machine.debug_exit = options.debug_exit;
    machine.test_device = options.test_device;
    machine.virtio_bus = options.virtio_bus;
    machine.has_firmware = !options.bios.empty();
    if (machine.has_firmware) machine.firmware_kernel = kernel_for_firmware(start_.payload);
    if (is_there(options.debugcon))
      machine.debugcon = machine::ByteSink([](std::span<const std::byte>) {});
    machine.guest_gdb = options.guest_gdb.has_value();
    std::vector<std::shared_ptr<time::PastDisk>> disks;
    const std::vector<DiskOption> given = images_of(options);
    for (std::size_t i = 0; i < start_.images.size(); ++i) {
      disks.push_back(std::make_shared<time::PastDisk>(
          std::make_shared<ScratchDisk>(start_.images[i], given[i].read_only),
          static_cast<unsigned>(i)));
    }
    give_images(machine, options, {disks.begin(), disks.end()});
    companions::add_devices(options.network.has_value(), options.shares, options.vsock, machine);
    if (options.rng == Rng::Host) machine.random.emplace();
    if (is_there(options.console)) machine.console.emplace();
    machine.text_card = options.vga == Vga::Text;
    machine.video_bios = start_.payload.video_bios;
    machine_ = std::make_unique<machine::Machine>(ram_, std::move(machine));
    engine_ = TRY(start_engine(options, ram_, *machine_, boot_.entry, journal.start()));
    machine_->connect(engine_->cpus(), engine_->controller_views());
    run_ = std::make_unique<time::Rerun>(
        std::move(name), time::HistorySubjects{*engine_, *machine_, ram_, std::move(disks)},
        std::move(journal), [this] { return restart(); });
    return {};
  }

  Result<void> restart() {
    machine_->reset();
    if (start_.options.bios.empty()) {
      boot_ = TRY(boot(start_, ram_));
    } else {
      machine::shadow_firmware(start_.payload.firmware.bytes(), ram_);
    }
    engine_->recordable()->reset_under_way(boot_.entry);
    return {};
  }

  const Start& start_;
  hypervisor::GuestRam ram_;
  machine::BootResult boot_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<hypervisor::Engine> engine_;
  std::unique_ptr<time::Rerun> run_;
};

void print(const std::string& text) {
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::string describe_inputs(const time::JournalReader& a, const time::JournalReader& b) {
  const auto different = time::first_different_input(a, b);
  if (!different) return fmt::format("inputs: the same, {} of them", a.entries().size());
  std::string text =
      fmt::format("inputs: number {} is the first that differs", different->number + 1);
  for (const auto& [name, entry] : {std::pair("A", different->a), std::pair("B", different->b)}) {
    text += fmt::format("\n  {}: {}", name,
                        entry == nullptr ? "there is none any more" : time::describe(*entry));
  }
  return text;
}

Result<void> check_start(const time::RunStart& a, const time::RunStart& b) {
  if (a == b) return {};
  return fail(
      ErrorCode::BadRequest,
      fmt::format(
          "the two journals have no common start: seed {:016x}, date {} and processor {} in the "
          "one, seed {:016x}, date {} and processor {} in the other; record both with one --seed "
          "(the manual, TWO RUNS)",
          a.seed, a.date, name_of(a.processor), b.seed, b.date, name_of(b.processor)));
}

}  // namespace

Result<int> compare_runs(const Options& given) {
  Options options = given;
  options.engine = EngineChoice::Soft;
  Start start{options, {}, {}};
  const Images connected = TRY(connect_disks(options, Access::ReadOnly));
  start.images = TRY(open_images(options, connected, Access::ReadOnly));
  sandbox::Names names;
  names.inputs = payload_files(options);
  sandbox::HostOutside host(std::move(names));
  const Meanwhile meanwhile = [progress = Progress()](const Stage& stage) mutable -> Result<void> {
    progress.at(stage);
    return {};
  };
  start.payload = TRY(read_payload(options, host, meanwhile));
  const std::uint64_t content =
      TRY(content_of(start.images, hash_of(start.payload), options, meanwhile));
  const time::RunIdentity identity{options.cpus, options.memory, content};
  auto a = TRY(time::JournalReader::open(options.replay, identity));
  auto b = TRY(time::JournalReader::open(options.against, identity));
  TRY(check_start(a.start(), b.start()));
  print(fmt::format("A is {}\nB is {}", options.replay, options.against));
  print(describe_inputs(a, b));
  const auto first = TRY(QuietMachine::create(start, options.replay, std::move(a)));
  const auto second = TRY(QuietMachine::create(start, options.against, std::move(b)));
  time::Comparison comparison(first->run(), second->run());
  const time::Comparison::Finding finding = TRY(comparison.run());
  print(finding.text);
  return finding.differ ? kDifferentStatus : 0;
}

}  // namespace ringside::cli
