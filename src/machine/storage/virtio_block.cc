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
  is_begun_ = false;
  request_.type = header.type;
  request_.sector = header.sector;
  request_.status_address = status_address.value;
  data_ = header.type == kWrite ? std::move(rest.readable) : std::move(rest.writable);
  drop_empty(data_);
  return true;
}

void VirtioBlock::visit_request(StateVisitor& visitor) {
  is_begun_ = false;
  visitor.field(request_);
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments && request_.segment <= data_.size());
  visitor.expect(request_.within == 0 || (request_.segment < data_.size() &&
                                          request_.within < data_[request_.segment].size));
}

VirtioDevice::Progress VirtioBlock::go_on(Allowance& allowance) {
  Step step = Step::Unsupported;
  switch (request_.type) {
    case kRead:
    case kWrite:
      step = backend_->is_remote() ? transfer_remotely(allowance) : transfer(allowance);
      break;
    case kFlush:
      step = flush(allowance);
      break;
    case kIdentify:
      step = identify();
      break;
    default:
      break;
  }
  if (step == Step::SpentAll) return Progress::More;
  if (step == Step::Waits) return Progress::Waits;
  const std::uint8_t status = step == Step::Ok      ? kOk
                              : step == Step::Error ? kIoError
                                                    : kUnsupported;
  return memory_.write({request_.status_address}, status) ? Progress::Over : Progress::Broken;
}

// What the host cannot do now it could not do in the run that is repeated, and what it can do now
// it could: the witness sees to it.
template <typename Call>
VirtioBlock::Outcome VirtioBlock::attempt(const Call& call) {
  Outcome outcome = Outcome::Failed;
  if (witness_ == nullptr || !witness_->has_failed(number_, transfers_)) {
    outcome = call();
    if (witness_ != nullptr && outcome == Outcome::UnderWay) witness_->waits();
    if (witness_ != nullptr && outcome == Outcome::Failed) {
      using Until = DiskFailure::Until;
      witness_->fails({number_, transfers_, backend_->is_gone() ? Until::End : Until::Next});
    }
  }
  if (outcome != Outcome::UnderWay) ++transfers_;
  return outcome;
}

// It has a part of the work to itself: only then it is known that nothing of the machine has
// changed while the host was not ready.
VirtioBlock::Step VirtioBlock::flush(Allowance& allowance) {
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Step::SpentAll;
  const Outcome outcome = attempt([&] { return backend_->flush(); });
  if (outcome == Outcome::UnderWay) return Step::Waits;
  return outcome == Outcome::Done ? Step::Ok : Step::Error;
}

// Whole sectors, all of them on the disk.
bool VirtioBlock::on_disk() const {
  const std::uint64_t size = total_size(data_), sectors = backend_->size() / kSector;
  return size % kSector == 0 && request_.sector <= sectors &&
         size / kSector <= sectors - request_.sector;
}

bool VirtioBlock::is_there(const VirtioSegment& segment) {
  return request_.type == kRead ? memory_.can_write(segment.address, segment.size)
                                : memory_.readable(segment.address, segment.size) != nullptr;
}

// Of a segment that is not in memory as a whole nothing is touched.
VirtioBlock::Step VirtioBlock::transfer(Allowance& allowance) {
  if (!on_disk() || (request_.type == kWrite && backend_->read_only())) return Step::Error;
  while (request_.segment < data_.size()) {
    const VirtioSegment& segment = data_[request_.segment];
    if (!is_there(segment)) return Step::Error;
    const std::uint32_t part = std::min(segment.size - request_.within, allowance.left());
    if (part == 0) return Step::SpentAll;
    allowance.spend(part);
    if (!move(segment.address + request_.within, part)) return Step::Error;
    request_.within += part;
    if (request_.within != segment.size) return Step::SpentAll;
    request_.within = 0;
    ++request_.segment;
    if (request_.type == kRead) request_.written += segment.size;
  }
  return Step::Ok;
}

bool VirtioBlock::move(Gpa address, std::uint32_t size) {
  const std::uint64_t offset = request_.sector * kSector + request_.done;
  request_.done += size;
  if (offset > backend_->size() || size > backend_->size() - offset) return false;
  const Outcome outcome = attempt([&] {
    return request_.type == kWrite
               ? backend_->write(offset, {memory_.readable(address, size), size})
               : backend_->read(offset, {memory_.writable(address, size), size});
  });
  if (outcome != Outcome::Done) return false;
  if (request_.type == kRead) memory_.written(address, size);
  return true;
}

// One transfer for all segments, as far as a part of the work goes, because each takes its time.
// It has that part to itself, as a flush has.
VirtioBlock::Step VirtioBlock::transfer_remotely(Allowance& allowance) {
  if (!on_disk() || (request_.type == kWrite && backend_->read_only())) return Step::Error;
  if (request_.segment == data_.size()) return Step::Ok;
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Step::SpentAll;
  const Pieces pieces = next_pieces();
  if (pieces.size == 0) return Step::Error;
  const Outcome outcome = move_remotely(pieces);
  if (outcome == Outcome::UnderWay) return Step::Waits;
  is_begun_ = false;
  if (outcome != Outcome::Done) return Step::Error;
  complete(pieces);
  return request_.segment == data_.size() ? Step::Ok : Step::SpentAll;
}

// Up to a segment that is not in memory.
VirtioBlock::Pieces VirtioBlock::next_pieces() {
  Pieces pieces;
  std::uint32_t within = request_.within;
  for (std::size_t i = request_.segment; i < data_.size() && is_there(data_[i]); ++i) {
    const std::uint32_t room = Allowance::kBytes - pieces.size;
    const std::uint32_t part = std::min(data_[i].size - within, room);
    if (part == 0) break;
    pieces.segments.push_back({data_[i].address + within, part, 0});
    pieces.size += part;
    within = 0;
  }
  return pieces;
}

VirtioBlock::Outcome VirtioBlock::move_remotely(const Pieces& pieces) {
  const std::uint64_t offset = request_.sector * kSector + request_.done;
  buffer_.resize(pieces.size);
  // Where vCPUs run meanwhile, they may change what is written; it is taken once.
  if (request_.type == kWrite && !is_begun_) {
    std::size_t at = 0;
    for (const VirtioSegment& piece : pieces.segments) {
      std::memcpy(buffer_.data() + at, memory_.readable(piece.address, piece.size), piece.size);
      at += piece.size;
    }
  }
  is_begun_ = true;
  const Outcome outcome = attempt([&] {
    return request_.type == kWrite ? backend_->write(offset, buffer_)
                                   : backend_->read(offset, buffer_);
  });
  if (request_.type == kWrite || outcome != Outcome::Done) return outcome;
  std::size_t at = 0;
  for (const VirtioSegment& piece : pieces.segments) {
    std::memcpy(memory_.writable(piece.address, piece.size), buffer_.data() + at, piece.size);
    memory_.written(piece.address, piece.size);
    at += piece.size;
  }
  return outcome;
}

void VirtioBlock::complete(const Pieces& pieces) {
  request_.done += pieces.size;
  for (const VirtioSegment& piece : pieces.segments) {
    const std::uint32_t size = data_[request_.segment].size;
    request_.within += piece.size;
    if (request_.within != size) return;
    request_.within = 0;
    ++request_.segment;
    if (request_.type == kRead) request_.written += size;
  }
}

VirtioBlock::Step VirtioBlock::identify() {
  std::string name = "ringside-" + std::to_string(number_);
  name.resize(20, '\0');
  std::size_t done = 0;
  for (const VirtioSegment& segment : data_) {
    const auto size =
        static_cast<std::uint32_t>(std::min<std::size_t>(segment.size, name.size() - done));
    std::byte* to = memory_.writable(segment.address, size);
    if (to == nullptr) return Step::Error;
    std::memcpy(to, name.data() + done, size);
    memory_.written(segment.address, size);
    done += size;
    request_.written += size;
  }
  return done == name.size() ? Step::Ok : Step::Error;
}

}  // namespace ringside::machine
