#include "translator/code_writer.h"

namespace ringside::testing {

void CodeWriter::load(unsigned reg, std::uint64_t value) {
  const auto low = static_cast<std::uint8_t>(reg & 7);
  if (mode_ == CodeMode::Code64) {
    const bool wide = value >> 32 != 0;
    const auto rex = static_cast<std::uint8_t>(0x40 | (wide ? 8 : 0) | reg >> 3);
    if (rex != 0x40) bytes({rex});
    bytes({static_cast<std::uint8_t>(0xb8 | low)});
    number(value, wide ? 8 : 4);
    return;
  }
  bytes({static_cast<std::uint8_t>(0xb8 | low)});
  number(value, near_size());
}

std::uint64_t CodeWriter::data_offset(std::uint64_t address) const {
  return mode_ == CodeMode::Code16 ? address - stage::kRealBase : address;
}

std::uint64_t CodeWriter::absolute(unsigned reg, std::uint64_t address) {
  const auto middle = static_cast<std::uint8_t>(reg << 3);
  if (mode_ == CodeMode::Code64) {
    bytes({static_cast<std::uint8_t>(middle | 4), 0x25});
  } else {
    bytes({static_cast<std::uint8_t>(middle | (mode_ == CodeMode::Code16 ? 6 : 5))});
  }
  const std::uint64_t place = at_;
  number(data_offset(address), near_size());
  return place;
}

std::uint64_t CodeWriter::store8(std::uint64_t address, std::uint8_t value) {
  bytes({0xc6});
  const std::uint64_t place = absolute(0, address);
  bytes({value});
  return place;
}

std::uint64_t CodeWriter::store32(std::uint64_t address, std::uint32_t value) {
  if (mode_ == CodeMode::Code16) bytes({0x66});
  bytes({0xc7});
  const std::uint64_t place = absolute(0, address);
  number(value, 4);
  return place;
}

std::uint64_t CodeWriter::xor8(std::uint64_t address, std::uint8_t value) {
  bytes({0x80});
  const std::uint64_t place = absolute(6, address);
  bytes({value});
  return place;
}

void CodeWriter::set_address(std::uint64_t place, std::uint64_t address) {
  const std::uint64_t before = at_;
  at_ = place;
  number(data_offset(address), near_size());
  at_ = before;
}

CodeWriter::Distance CodeWriter::distance(unsigned size) {
  const Distance result{mode_, at_, size};
  number(0, size);
  return result;
}

CodeWriter::Distance CodeWriter::jump() {
  bytes({0xe9});
  return distance(near_size());
}
CodeWriter::Distance CodeWriter::jump_if(unsigned condition) {
  bytes({0x0f, static_cast<std::uint8_t>(0x80 | condition)});
  return distance(near_size());
}
CodeWriter::Distance CodeWriter::jump_short_if(unsigned condition) {
  bytes({static_cast<std::uint8_t>(0x70 | condition)});
  return distance(1);
}
CodeWriter::Distance CodeWriter::loop(unsigned kind) {
  bytes({static_cast<std::uint8_t>(0xe0 | kind)});
  return distance(1);
}
CodeWriter::Distance CodeWriter::call() {
  bytes({0xe8});
  return distance(near_size());
}

bool CodeWriter::set_target(const Distance& distance, std::uint64_t target) {
  const std::uint64_t value = target - (distance.place + distance.size);
  const auto as_signed = static_cast<std::int64_t>(value);
  if (distance.size == 1 && (as_signed < -128 || as_signed > 127)) return false;
  for (unsigned i = 0; i < distance.size; ++i)
    memory_[distance.place + i] = static_cast<std::uint8_t>(value >> 8 * i);
  return true;
}

}  // namespace ringside::testing
