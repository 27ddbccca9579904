#include "machine/storage/virtio_block.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint32_t kMaxSegments = 126;

constexpr std::uint64_t kFeatureSegments = 1 << 2, kFeatureReadOnly = 1 << 5,
                        kFeatureBlockSize = 1 << 6, kFeatureFlush = 1 << 9;
constexpr std::uint32_t kRead = 0, kWrite = 1, kFlush = 4, kIdentify = 8;
constexpr std::uint8_t kOk = 0, kIoError = 1, kUnsupported = 2;

struct Header {
  std::uint32_t type = 0, reserved = 0;
  std::uint64_t sector = 0;
};

std::uint64_t total(std::span<const VirtioSegment> segments) {
  std::uint64_t size = 0;
  for (const VirtioSegment& segment : segments)
    size += segment.size;
  return size;
}

bool is_empty(const VirtioSegment& segment) { return segment.size == 0; }

}  // namespace

VirtioBlock::VirtioBlock(std::shared_ptr<BlockBackend> backend, DmaMemory memory, unsigned number)
    : backend_(std::move(backend)), memory_(memory), number_(number) {
  const std::uint64_t sectors = backend_->size() / kSector;
  const std::uint32_t block = kSector;
  std::memcpy(configuration_.data(), &sectors, sizeof sectors);
  std::memcpy(configuration_.data() + 12, &kMaxSegments, sizeof kMaxSegments);
  std::memcpy(configuration_.data() + 20, &block, sizeof block);
}

std::uint64_t VirtioBlock::features() const {
  return kFeatureSegments | kFeatureBlockSize | kFeatureFlush |
         (backend_->read_only() ? kFeatureReadOnly : 0);
}

// A request is a 16-byte header, the data, and one byte of status at the very end. The driver may
// cut these into segments as it likes (2.7.4), so that the header is gathered.
std::optional<std::uint32_t> VirtioBlock::serve(const VirtioChain& chain) {
  Header header;
  auto* into = reinterpret_cast<std::byte*>(&header);
  std::size_t missing = sizeof header;
  VirtioChain rest = chain;
  for (VirtioSegment& segment : rest.readable) {
    const std::uint32_t size =
        std::min<std::uint32_t>(segment.size, static_cast<std::uint32_t>(missing));
    const std::byte* from = memory_.readable(segment.address, size);
    if (from == nullptr) return std::nullopt;
    std::memcpy(into, from, size);
    into += size;
    missing -= size;
    segment.address = segment.address + size;
    segment.size -= size;
    if (missing == 0) break;
  }
  if (missing != 0 || rest.writable.empty() || rest.writable.back().size == 0) return std::nullopt;
  VirtioSegment& last = rest.writable.back();
  --last.size;
  const Gpa status_address = last.address + last.size;
  std::erase_if(rest.readable, is_empty);
  std::erase_if(rest.writable, is_empty);
  std::uint32_t written = 0;
  const std::uint8_t status = run(header.type, header.sector, rest, written);
  if (!memory_.write(status_address, status)) return std::nullopt;
  return written + 1;
}

std::uint8_t VirtioBlock::run(std::uint32_t type, std::uint64_t sector, const VirtioChain& chain,
                              std::uint32_t& written) {
  switch (type) {
    case kRead:
      return read(sector, chain.writable, written);
    case kWrite:
      return write(sector, chain.readable);
    case kFlush:
      return backend_->flush() ? kOk : kIoError;
    case kIdentify:
      return identify(chain.writable, written);
    default:
      return kUnsupported;
  }
}

// Whole sectors, all of them on the disk.
bool VirtioBlock::on_disk(std::uint64_t sector, std::span<const VirtioSegment> segments) const {
  const std::uint64_t size = total(segments), sectors = backend_->size() / kSector;
  return size % kSector == 0 && sector <= sectors && size / kSector <= sectors - sector;
}

std::uint8_t VirtioBlock::read(std::uint64_t sector, std::span<const VirtioSegment> segments,
                               std::uint32_t& written) {
  if (!on_disk(sector, segments)) return kIoError;
  std::uint64_t offset = sector * kSector;
  for (const VirtioSegment& segment : segments) {
    std::byte* to = memory_.writable(segment.address, segment.size);
    if (to == nullptr || !backend_->read(offset, {to, segment.size})) return kIoError;
    memory_.written(segment.address, segment.size);
    offset += segment.size;
    written += segment.size;
  }
  return kOk;
}

std::uint8_t VirtioBlock::write(std::uint64_t sector, std::span<const VirtioSegment> segments) {
  if (backend_->read_only() || !on_disk(sector, segments)) return kIoError;
  std::uint64_t offset = sector * kSector;
  for (const VirtioSegment& segment : segments) {
    const std::byte* from = memory_.readable(segment.address, segment.size);
    if (from == nullptr || !backend_->write(offset, {from, segment.size})) return kIoError;
    offset += segment.size;
  }
  return kOk;
}

std::uint8_t VirtioBlock::identify(std::span<const VirtioSegment> segments,
                                   std::uint32_t& written) {
  std::string name = "ringside-" + std::to_string(number_);
  name.resize(20, '\0');
  std::size_t done = 0;
  for (const VirtioSegment& segment : segments) {
    const auto size =
        static_cast<std::uint32_t>(std::min<std::size_t>(segment.size, name.size() - done));
    std::byte* to = memory_.writable(segment.address, size);
    if (to == nullptr) return kIoError;
    std::memcpy(to, name.data() + done, size);
    memory_.written(segment.address, size);
    done += size;
    written += size;
  }
  return done == name.size() ? kOk : kIoError;
}

}  // namespace ringside::machine
