// Address decoding: which device answers a port or a memory-mapped address. Built once when the
// machine is made, never changed afterwards. Owned by Machine; devices are referenced, not owned.
//
// Every device has two ways to be read. A read is the guest's, and may have an effect: a byte is
// taken from a FIFO, an interrupt is acknowledged. A peek is a debugger's: it gives what a read
// would give now, from the device's state, and changes nothing, which is why it is const. Nothing
// waits in a peek.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/platform.h"
#include "ringside/types.h"

namespace ringside::machine {

using hypervisor::Access;

// A device with byte registers. The bus splits a wider access into consecutive ports, low byte
// first, as ISA does.
class BytePorts {
 public:
  virtual ~BytePorts() = default;
  virtual std::uint8_t read_port(std::uint16_t port) = 0;
  virtual std::uint8_t peek_port(std::uint16_t port) const = 0;
  virtual void write_port(std::uint16_t port, std::uint8_t value) = 0;
  // False: a write would send something out that nobody can take yet.
  virtual bool takes_write(std::uint16_t /*port*/) const { return true; }
};

struct PortAccess {
  VcpuId vcpu;
  std::uint16_t port = 0;
  unsigned width = 1;  // 1, 2 or 4
};

// A device that cares about the width of an access, or cannot answer at once. An access belongs to
// the device at its first port.
class WidePorts {
 public:
  virtual ~WidePorts() = default;
  virtual Access read_port(const PortAccess& access, std::uint32_t& value) = 0;
  // Where a read would wait: all ones.
  virtual std::uint32_t peek_port(const PortAccess& access) const = 0;
  virtual Access write_port(const PortAccess& access, std::uint32_t value) = 0;
};

// What people call a device, and its interrupt line if it has one.
struct DeviceLabel {
  std::string name;
  std::optional<unsigned> line = std::nullopt;
};

class PortBus {
 public:
  struct Range {
    std::uint16_t first = 0;
    unsigned count = 0;
    DeviceLabel label;
  };
  PortBus();
  void claim(std::uint16_t first, unsigned count, BytePorts& device, DeviceLabel label = {});
  void claim(std::uint16_t first, unsigned count, WidePorts& device, DeviceLabel label = {});
  // In the order of the claims.
  const std::vector<Range>& ranges() const { return ranges_; }

  Access read(const PortAccess& access, std::uint32_t& value) const;
  std::uint32_t peek(const PortAccess& access) const;
  Access write(const PortAccess& access, std::uint32_t value) const;
  // Of all its bytes; see BytePorts.
  bool takes_write(const PortAccess& access) const;

 private:
  struct Owner {
    BytePorts* bytes = nullptr;
    WidePorts* wide = nullptr;
  };
  void claim(std::uint16_t first, unsigned count, Owner owner, DeviceLabel label);

  std::vector<Range> ranges_;
  std::vector<Owner> owners_;           // owners_[0] is nobody
  std::array<std::uint8_t, 65536> at_;  // index into owners_
};

struct MmioAccess {
  VcpuId vcpu;
  std::uint64_t offset = 0;  // from the start of the device's range
  unsigned width = 4;        // 1, 2, 4 or 8, not crossing an 8-byte boundary
};

class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  // Whether anything of it is there at that offset now.
  virtual bool answers(std::uint64_t /*offset*/) const { return true; }
  virtual std::uint64_t read_mmio(const MmioAccess& access) = 0;
  virtual std::uint64_t peek_mmio(const MmioAccess& access) const = 0;
  virtual void write_mmio(const MmioAccess& access, std::uint64_t value) = 0;
};

class MmioBus {
 public:
  struct Range {
    Gpa base;
    std::uint64_t size = 0;
    MmioDevice* device = nullptr;
    DeviceLabel label = {};
  };
  void claim(Gpa base, std::uint64_t size, MmioDevice& device, DeviceLabel label = {});
  // The first that answers.
  const Range* find(Gpa address) const;
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// All ones in `width` bytes: what an access reads where nothing answers.
constexpr std::uint64_t all_ones(unsigned width) {
  return width >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width)) - 1;
}

}  // namespace ringside::machine
