#include "machine/storage/virtio_block.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "machine/virtio/segments.h"

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
bool VirtioBlock::begin(unsigned, const VirtioChain& chain) {
  Header header;
  VirtioChain rest = chain;
  if (total_size(rest.readable) < sizeof header ||
      !read_segments(memory_, rest.readable, std::as_writable_bytes(std::span(&header, 1))))
    return false;
  drop_first(rest.readable, sizeof header);
  if (rest.writable.empty() || rest.writable.back().size == 0) return false;
  VirtioSegment& last = rest.writable.back();
  --last.size;
  const Gpa status_address = last.address + last.size;
  request_ = Request{};
  request_.type = header.type;
  request_.sector = header.sector;
  request_.status_address = status_address.value;
  data_ = header.type == kWrite ? std::move(rest.readable) : std::move(rest.writable);
  drop_empty(data_);
  return true;
}

void VirtioBlock::visit_request(StateVisitor& visitor) {
  visitor.field(request_);
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments && request_.segment <= data_.size());
  visitor.expect(request_.within == 0 || (request_.segment < data_.size() &&
                                          request_.within < data_[request_.segment].size));
}

// A flush has a part of the work to itself: only then it is known that nothing of the machine has
// changed while the host was not ready.
VirtioDevice::Progress VirtioBlock::go_on(Allowance& allowance) {
  Status status = kUnsupported;
  switch (request_.type) {
    case kRead:
    case kWrite:
      status = transfer(allowance);
      break;
    case kFlush: {
      const bool is_alone = allowance.is_whole();
      allowance.spend_all();
      if (!is_alone) return Progress::More;
      const BlockBackend::Flush flush = backend_->flush();
      if (flush == BlockBackend::Flush::UnderWay) return Progress::Waits;
      status = flush == BlockBackend::Flush::Done ? kOk : kIoError;
      break;
    }
    case kIdentify:
      status = identify();
      break;
    default:
      break;
  }
  if (!status) return Progress::More;
  return memory_.write({request_.status_address}, *status) ? Progress::Over : Progress::Broken;
}

// Whole sectors, all of them on the disk.
bool VirtioBlock::on_disk() const {
  const std::uint64_t size = total_size(data_), sectors = backend_->size() / kSector;
  return size % kSector == 0 && request_.sector <= sectors &&
         size / kSector <= sectors - request_.sector;
}

// Of a segment that is not in memory as a whole nothing is touched.
VirtioBlock::Status VirtioBlock::transfer(Allowance& allowance) {
  if (!on_disk() || (request_.type == kWrite && backend_->read_only())) return kIoError;
  while (request_.segment < data_.size()) {
    const VirtioSegment& segment = data_[request_.segment];
    const bool is_there = request_.type == kRead
                              ? memory_.can_write(segment.address, segment.size)
                              : memory_.readable(segment.address, segment.size) != nullptr;
    if (!is_there) return kIoError;
    const std::uint32_t part = std::min(segment.size - request_.within, allowance.left());
    if (part == 0) return std::nullopt;
    allowance.spend(part);
    if (!move(segment.address + request_.within, part)) return kIoError;
    request_.within += part;
    if (request_.within != segment.size) return std::nullopt;
    request_.within = 0;
    ++request_.segment;
    if (request_.type == kRead) request_.written += segment.size;
  }
  return kOk;
}

bool VirtioBlock::move(Gpa address, std::uint32_t size) {
  const std::uint64_t offset = request_.sector * kSector + request_.done;
  request_.done += size;
  if (offset > backend_->size() || size > backend_->size() - offset) return false;
  if (request_.type == kWrite)
    return backend_->write(offset, {memory_.readable(address, size), size});
  if (!backend_->read(offset, {memory_.writable(address, size), size})) return false;
  memory_.written(address, size);
  return true;
}

std::uint8_t VirtioBlock::identify() {
  std::string name = "ringside-" + std::to_string(number_);
  name.resize(20, '\0');
  std::size_t done = 0;
  for (const VirtioSegment& segment : data_) {
    const auto size =
        static_cast<std::uint32_t>(std::min<std::size_t>(segment.size, name.size() - done));
    std::byte* to = memory_.writable(segment.address, size);
    if (to == nullptr) return kIoError;
    std::memcpy(to, name.data() + done, size);
    memory_.written(segment.address, size);
    done += size;
    request_.written += size;
  }
  return done == name.size() ? kOk : kIoError;
}

}  // namespace ringside::machine
