// A driver of a virtio device on the MMIO transport, with the guest's memory. The base of fixtures;
// for tests only.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/guest_memory.h"
#include "machine/virtio/virtio_mmio.h"

namespace ringside::machine::testing {

class VirtioDriver : public GuestMemory {
 public:
  static constexpr unsigned kQueues = 3;
  static constexpr std::uint16_t kSize = 8;  // of each queue

  struct Part {
    std::uint64_t address;
    std::uint32_t size;
    bool writable;  // for the device
  };

  FakeCpuPort cpus;
  FakeLines lines;
  DmaMemory memory{ram, cpus};

  static std::uint64_t descriptors(unsigned queue) { return 0x1000 + queue * 0x4000ull; }
  static std::uint64_t available(unsigned queue) { return 0x2000 + queue * 0x4000ull; }
  static std::uint64_t used(unsigned queue) { return 0x3000 + queue * 0x4000ull; }

  static std::uint32_t read(VirtioMmio& device, std::uint64_t offset) {
    return static_cast<std::uint32_t>(device.read_mmio({{}, offset, 4}));
  }
  static void write(VirtioMmio& device, std::uint64_t offset, std::uint32_t value) {
    device.write_mmio({{}, offset, 4}, value);
  }
  void start(VirtioMmio& device, unsigned queues, std::uint32_t features) {
    published_ = {};
    write(device, 0x070, 0);
    write(device, 0x070, 3);
    write(device, 0x024, 1);
    write(device, 0x020, 1);  // VERSION_1
    write(device, 0x024, 0);
    write(device, 0x020, features);
    write(device, 0x070, 0xb);
    for (unsigned queue = 0; queue < queues; ++queue) {
      std::memset(ram.host({descriptors(queue)}, 0x3000), 0, 0x3000);
      write(device, 0x030, queue);
      write(device, 0x038, kSize);
      write(device, 0x080, static_cast<std::uint32_t>(descriptors(queue)));
      write(device, 0x090, static_cast<std::uint32_t>(available(queue)));
      write(device, 0x0a0, static_cast<std::uint32_t>(used(queue)));
      write(device, 0x044, 1);
    }
    write(device, 0x070, 0xf);
  }
  // A chain whose first descriptor is `head`; the others follow it.
  void publish(unsigned queue, std::uint16_t head, std::initializer_list<Part> parts) {
    auto index = head;
    for (const Part& part : parts) {
      const bool is_last = index - head + 1u == parts.size();
      const std::uint64_t at = descriptors(queue) + 16 * index;
      poke(at, part.address);
      poke(at + 8, part.size);
      poke<std::uint16_t>(at + 12, static_cast<std::uint16_t>((part.writable ? 2 : 0) | !is_last));
      poke<std::uint16_t>(at + 14, ++index);
    }
    std::uint16_t& published = published_[queue];
    poke<std::uint16_t>(available(queue) + 4 + 2 * (published % kSize), head);
    poke<std::uint16_t>(available(queue) + 2, ++published);
  }
  static void notify(VirtioMmio& device, std::uint32_t queue) {
    write(device, 0x050, queue);
    work(device);
  }
  static void work(VirtioMmio& device) {
    while (device.can_work())
      device.work();
  }
  std::uint16_t used_count(unsigned queue) { return peek<std::uint16_t>(used(queue) + 2); }
  std::uint32_t used_head(unsigned queue, unsigned at) {
    return peek<std::uint32_t>(used(queue) + 4 + 8 * at);
  }
  std::uint32_t used_bytes(unsigned queue, unsigned at) {
    return peek<std::uint32_t>(used(queue) + 8 + 8 * at);
  }
  std::string text(std::uint64_t address, std::uint32_t size) {
    return {reinterpret_cast<const char*>(ram.host({address}, size)), size};
  }
  void put(std::uint64_t address, std::string_view text) {
    std::memcpy(ram.host({address}, text.size()), text.data(), text.size());
  }

 private:
  std::array<std::uint16_t, kQueues> published_{};
};

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace ringside::machine::testing
