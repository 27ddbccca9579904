// Arbitrary bytes as a saved machine. The first byte says what is kept right: nothing, so that they
// are the file; or all hashes and places, so that they are the description, the chunks and the
// state of a file that somebody has made up. It is refused, or it is a machine that runs; nothing
// else.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/memory_file.h"
#include "base/state_bytes.h"
#include "engine/soft/soft_vm.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"
#include "time/saved/saved_format.h"
#include "time/saved/saved_machine.h"

namespace {

using namespace ringside;

constexpr unsigned kVcpus = 2;
constexpr std::uint64_t kMemory = 1u << 20;
// Larger machines are as good as these, but slower.
constexpr unsigned kMostVcpus = 4;
constexpr std::uint64_t kMostMemory = 16u << 20;

using Bytes = std::vector<std::byte>;

struct Scene {
  hypervisor::GuestRam ram;
  std::unique_ptr<machine::Machine> machine;
  std::unique_ptr<soft::SoftEngine> engine;

  explicit Scene(const time::SavedOptions& options)
      : ram(hypervisor::GuestRam::create(options.memory).value()) {
    machine::MachineOptions made_of;
    made_of.vcpus = options.vcpus;
    made_of.guest_gdb = options.guest_gdb;
    machine = std::make_unique<machine::Machine>(ram, std::move(made_of));
    soft::Options soft{options.vcpus, 1, options.processor};
    soft.translator.mode = soft::TranslatorOptions::Mode::Off;
    engine = soft::create(ram, *machine, x86::reset_state(), soft);
    machine->connect(*engine);
  }
  void run() {
    for (std::uint32_t i = 0; i < engine->vcpu_count(); ++i) {
      if (engine->vcpu({i}).active()) engine->resume({i});
    }
    for (unsigned rounds = 0; rounds < 20 && !engine->ended(); ++rounds) {
      engine->run_slice();
      while (const auto event = engine->take_event())
        engine->resume(event->vcpu);
      const auto idle = engine->idle_until();
      if (idle && *idle != kNever) engine->advance_to(*idle);
    }
  }
};

template <typename T>
void append(Bytes& to, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// `data` upon something sound, so that most of it makes sense.
void overlay(Bytes& onto, std::span<const std::byte>& data, std::size_t most) {
  // An offset and bytes that go there.
  while (data.size() >= 4 && most > 0) {
    std::uint16_t at = 0;
    std::memcpy(&at, data.data(), sizeof at);
    const std::size_t size = std::to_integer<std::size_t>(data[2]) % 16 + 1;
    data = data.subspan(3);
    for (std::size_t i = 0; i < size && !data.empty() && !onto.empty(); ++i) {
      onto[(at + i) % onto.size()] = data[0];
      data = data.subspan(1);
    }
    --most;
  }
}

// What a machine at power-on has.
struct Sound {
  Bytes description, state;
};
Sound make_sound() {
  time::SavedOptions options;
  options.vcpus = kVcpus;
  options.memory = kMemory;
  options.guest_gdb = true;
  Scene scene(options);
  StateSaver description, state;
  options.visit(description);
  scene.engine->visit_processors(state);
  scene.machine->visit_state(state);
  return {std::move(description.saved), std::move(state.saved)};
}

Bytes made_up(std::span<const std::byte> data, bool with_description) {
  static const Sound sound = make_sound();
  Bytes description = sound.description, state = sound.state;
  if (with_description) {
    overlay(description, data, 2);
  } else {
    overlay(state, data, 8);
  }
  // What is left is a chunk, packed as it may be.
  const std::span<const std::byte> packed = data.first(std::min<std::size_t>(data.size(), 4096));
  time::SavedChunk chunk;
  chunk.base = 0xf0000;
  chunk.pages = 1;
  chunk.packed_size = packed.size();
  chunk.hash = time::saved_hash(packed);

  time::SavedHeader header;
  header.description_size = static_cast<std::uint32_t>(description.size());
  header.description_hash = time::saved_hash(description);
  time::SavedTrailer trailer;
  Bytes file;
  append(file, header);
  file.insert(file.end(), description.begin(), description.end());
  if (!packed.empty()) file.insert(file.end(), packed.begin(), packed.end());
  trailer.state_at = file.size();
  trailer.state_size = state.size();
  trailer.state_hash = time::saved_hash(state);
  file.insert(file.end(), state.begin(), state.end());
  if (!packed.empty()) {
    trailer.chunks = 1;
    append(file, chunk);
  }
  trailer.index_hash = time::saved_hash(packed.empty() ? std::span<const std::byte>()
                                                       : std::as_bytes(std::span(&chunk, 1)));
  trailer.hash = time::hash_of_frame(header, trailer);
  append(file, trailer);
  return file;
}

void restore(std::span<const std::byte> content) {
  const Result<Fd> file = create_memory_file("saved machine", content.size());
  if (!file) return;
  if (::pwrite(file->get(), content.data(), content.size(), 0) !=
      static_cast<ssize_t>(content.size()))
    return;
  auto saved = time::SavedMachine::open("/proc/self/fd/" + std::to_string(file->get()));
  if (!saved) return;
  if (saved->options().vcpus > kMostVcpus || saved->options().memory > kMostMemory) return;
  Scene scene(saved->options());
  if (!saved->load_memory(scene.ram)) return;
  if (!saved->load_state(*scene.engine, *scene.machine)) return;
  scene.run();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const std::span<const std::byte> rest = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 4) {
    case 0:
      restore(rest);
      break;
    case 1:
      restore(made_up(rest, true));
      break;
    default:
      restore(made_up(rest, false));
      break;
  }
  return 0;
}
