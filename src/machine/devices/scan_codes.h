// Scan codes of PC keyboards. Set 1 is the PC's, set 2 the AT's (IBM PS/2 Keyboard technical
// reference, 101-key keyboards).
#pragma once

#include <array>
#include <cstdint>

namespace ringside::machine {

// What set 2 has for a byte of set 1: one byte for a key that is pressed or for a prefix, two for a
// key that is released, none where there is no such key. A prefix stays in front of what follows
// it, so that bytes can be translated one at a time.
class Set2Codes {
 public:
  explicit Set2Codes(std::uint8_t of_set_1);
  const std::uint8_t* begin() const { return bytes_.data(); }
  const std::uint8_t* end() const { return bytes_.data() + count_; }

 private:
  std::array<std::uint8_t, 2> bytes_{};
  unsigned count_ = 0;
};
inline Set2Codes to_set_2(std::uint8_t of_set_1) { return Set2Codes(of_set_1); }

}  // namespace ringside::machine
