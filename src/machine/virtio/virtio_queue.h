// A split virtqueue (virtio 1.2, 2.7), seen from the device. All of it lies in guest memory that
// the guest may change or break at any time, so every step is checked and bounded.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/state_visitor.h"
#include "machine/bus/dma_memory.h"

namespace ringside::machine {

struct VirtioSegment {
  Gpa address;
  std::uint32_t size = 0;
  std::uint32_t padding = 0;  // it is saved
};
static_assert(std::has_unique_object_representations_v<VirtioSegment>);

// One request: what the device may read, then what it may write.
struct VirtioChain {
  std::uint16_t head = 0;
  std::vector<VirtioSegment> readable, writable;
};

class VirtioQueue {
 public:
  static constexpr std::uint16_t kMaxSize = 256;
  // Of one chain. Longer ones than a whole queue are loops.
  static constexpr std::size_t kMaxSegments = 1024;

  enum class Next : std::uint8_t { Chain, Empty, Broken };

  explicit VirtioQueue(DmaMemory memory) : memory_(memory) {}

  struct State {
    std::uint64_t descriptors = 0, available = 0, used = 0;  // guest-physical addresses
    std::uint16_t size = kMaxSize;
    std::uint16_t ready = 0;
    std::uint16_t next_available = 0;
    std::uint16_t next_used = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);
  State state;

  void reset() { state = State{}; }
  void visit_state(StateVisitor& visitor) {
    visitor.field(state);
    visitor.expect(std::has_single_bit(state.size) && state.size <= kMaxSize);
  }

  Next pop(VirtioChain& chain);
  struct Used {
    std::uint32_t head = 0;
    std::uint32_t written = 0;  // bytes that the device put into the chain
  };
  // The driver sees all of them at once. False: the used ring is not in memory.
  bool push(std::span<const Used> used);
  // As if the last so many chains had not been popped.
  void put_back(std::uint16_t chains) {
    state.next_available = static_cast<std::uint16_t>(state.next_available - chains);
  }
  // Whether the guest wants to hear of used buffers.
  bool wants_interrupt() const;

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t flags;
    std::uint16_t next;
  };
  bool follow(Gpa table, std::uint32_t count, std::uint16_t index, bool indirect,
              VirtioChain& chain);

  DmaMemory memory_;
};

}  // namespace ringside::machine
