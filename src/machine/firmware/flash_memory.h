// The flash memory in which UEFI firmware keeps its variables: 8 bits wide, in blocks of 4 KiB,
// with Intel's command set (the basic one: Intel application note AP-646, and JESD68.01 for what
// CFI tells). Its content is a BlockBackend's and is written there at once; flushed when the
// machine ends. Owned by Machine.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/storage/block_backend.h"

namespace ringside::machine {

class FlashMemory final : public Device, public MmioDevice {
 public:
  static constexpr std::uint64_t kBlock = 4096;

  // Of whole blocks.
  explicit FlashMemory(std::shared_ptr<BlockBackend> content) : content_(std::move(content)) {}
  ~FlashMemory() override;

  std::uint64_t size() const { return content_->size(); }

  void reset() override { state_ = State{}; }
  void visit_state(StateVisitor& visitor) override;
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  enum class Mode : std::uint8_t { Array, Status, Identity, Query, Program, Erase };
  struct State {
    Mode mode = Mode::Array;  // Program and Erase wait for their second cycle
    std::uint8_t status = 0x80;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  bool is_within(const MmioAccess& access) const;
  std::uint8_t peek_byte(std::uint64_t offset) const;
  void begin(std::uint8_t command);
  void program(std::uint64_t offset, std::uint8_t value);
  void erase(std::uint64_t offset);
  void finish(bool done, std::uint8_t error);

  std::shared_ptr<BlockBackend> content_;
  State state_;
};

}  // namespace ringside::machine
