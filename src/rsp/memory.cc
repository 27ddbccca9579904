// m M x X qSearch:memory qCRC qMemoryRegionInfo. GDB manual, "Packets" and "General Query Packets";
// the last one is of LLDB's extensions to the protocol.
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

struct Range {
  Gva address;
  std::uint64_t length;
};

std::optional<Range> take_range(Fields& fields, char separator) {
  const auto address = fields.address();
  if (!address || !fields.take(separator)) return std::nullopt;
  const auto length = fields.hex();
  if (!length) return std::nullopt;
  return Range{*address, *length};
}

Request parse_read(Fields fields, MemoryEncoding encoding) {
  const auto range = take_range(fields, ',');
  if (!range || !fields.at_end()) return Malformed{"a memory read wants address,length"};
  return ReadMemory{range->address, range->length, encoding};
}

Request parse_write(Fields fields, MemoryEncoding encoding) {
  const auto range = take_range(fields, ',');
  if (!range || !fields.take(':')) return Malformed{"a memory write wants address,length:data"};
  auto data = encoding == MemoryEncoding::Binary ? fields.raw_bytes() : fields.hex_bytes();
  if (!data) return Malformed{"a memory write wants data in pairs of hex digits"};
  if (data->size() != range->length) return Malformed{"the data is not as long as announced"};
  return WriteMemory{range->address, std::move(*data)};
}

}  // namespace

Request parse_memory(std::string_view payload) {
  const Fields fields(payload.substr(1));
  switch (payload.front()) {
    case 'm':
      return parse_read(fields, MemoryEncoding::Hex);
    case 'x':
      return parse_read(fields, MemoryEncoding::Binary);
    case 'M':
      return parse_write(fields, MemoryEncoding::Hex);
    default:
      return parse_write(fields, MemoryEncoding::Binary);
  }
}

Request parse_memory_query(std::string_view payload) {
  Fields fields(payload);
  if (fields.take("qCRC")) {
    if (!fields.take(':')) return Malformed{"qCRC wants :address,length"};
    const auto range = take_range(fields, ',');
    if (!range || !fields.at_end()) return Malformed{"qCRC wants :address,length"};
    return ChecksumMemory{range->address, range->length};
  }
  if (fields.take("qMemoryRegionInfo")) {
    const auto address = fields.take(':') ? fields.address() : std::nullopt;
    if (!address || !fields.at_end()) return Malformed{"qMemoryRegionInfo wants :address"};
    return DescribeMemory{*address};
  }
  // Only memory can be searched, so any other qSearch is a packet we do not know.
  if (!fields.take("qSearch:memory:")) return Unknown{};
  const auto range = take_range(fields, ';');
  if (!range || !fields.take(';')) return Malformed{"qSearch wants address;length;pattern"};
  auto pattern = fields.raw_bytes();
  if (pattern.empty()) return Malformed{"qSearch wants a pattern"};
  return SearchMemory{range->address, range->length, std::move(pattern)};
}

}  // namespace ringside::rsp
