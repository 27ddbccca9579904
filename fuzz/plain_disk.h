// A virtio block device as virtio 1.2 has it (2.7 for the queue, 5.2 for the device), written
// plainly to compare ours with: a queue is served at once, from the first request to the last, in
// memory of its own. For the targets alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "machine/virtio/virtio_queue.h"
#include "plain_memory.h"

namespace ringside::fuzz {

class PlainDisk {
 public:
  PlainDisk(PlainMemory& memory, std::size_t size) : content(size), memory_(memory) {}

  Content content;
  bool is_read_only = false, is_broken = false, is_remote = false;

  enum class End : std::uint8_t {
    Empty,
    NeedsReset,  // what the driver has made of the queue makes no sense
    GivenUp,     // the requests make more of themselves
  };
  End serve(machine::VirtioQueue::State queue) {
    for (unsigned requests = 0; requests < kMostRequests; ++requests) {
      const auto published = memory_.get<std::uint16_t>(queue.available + 2);
      if (!published) return End::NeedsReset;
      const auto waiting = static_cast<std::uint16_t>(*published - queue.next_available);
      if (waiting == 0) return End::Empty;
      if (waiting > queue.size) return End::NeedsReset;
      const auto head = memory_.get<std::uint16_t>(queue.available + 4 +
                                                   2u * (queue.next_available % queue.size));
      ++queue.next_available;
      chain_.clear();
      if (!head || !gather(queue.descriptors, queue.size, *head, true)) return End::NeedsReset;
      const std::optional<std::uint32_t> written = request();
      if (!written) return End::NeedsReset;
      const std::uint64_t used = queue.used + 4 + 8u * (queue.next_used % queue.size);
      if (!memory_.put(used, std::uint64_t{*head} | std::uint64_t{*written} << 32))
        return End::NeedsReset;
      if (!memory_.put(queue.used + 2, ++queue.next_used)) return End::NeedsReset;
    }
    return End::GivenUp;
  }

 private:
  using For = PlainMemory::For;
  static constexpr unsigned kMostRequests = 2000;
  struct Piece {
    std::uint64_t address;
    std::uint32_t size;
    bool is_written;
  };

  bool gather(std::uint64_t table, std::uint32_t count, std::uint16_t index, bool may_be_indirect) {
    for (std::uint32_t steps = 0; steps < count && index < count; ++steps) {
      const std::uint64_t at = table + 16u * index;
      if (memory_.at(at, 16, For::Reading) == nullptr) return false;
      const auto address = *memory_.get<std::uint64_t>(at);
      const auto size = *memory_.get<std::uint32_t>(at + 8);
      const auto flags = *memory_.get<std::uint16_t>(at + 12);
      if ((flags & 4) != 0) {
        const std::uint32_t entries = size / 16;
        return may_be_indirect && (flags & 1) == 0 && entries != 0 && entries <= 65536 &&
               gather(address, entries, 0, false);
      }
      const bool is_written = (flags & 2) != 0;
      if (!is_written && !chain_.empty() && chain_.back().is_written) return false;
      if (chain_.size() == machine::VirtioQueue::kMaxSegments) return false;
      chain_.push_back({address, size, is_written});
      if ((flags & 1) == 0) return true;
      index = *memory_.get<std::uint16_t>(at + 14);
    }
    return false;
  }

  // How many bytes of the chain are written; nothing where it is no request.
  std::optional<std::uint32_t> request() {
    std::byte header[16];
    std::size_t have = 0;
    std::vector<Piece> data;
    for (Piece piece : chain_) {
      // Nothing is read of an empty piece, which may be anywhere.
      if (!piece.is_written && piece.size != 0 && have < sizeof header) {
        const auto size =
            static_cast<std::uint32_t>(std::min<std::size_t>(piece.size, sizeof header - have));
        const std::byte* from = memory_.at(piece.address, size, For::Reading);
        if (from == nullptr) return std::nullopt;
        std::memcpy(header + have, from, size);
        have += size;
        piece.address += size;
        piece.size -= size;
      }
      data.push_back(piece);
    }
    if (have != sizeof header || !data.back().is_written || data.back().size == 0)
      return std::nullopt;
    const std::uint64_t status_at = data.back().address + --data.back().size;
    std::uint32_t type = 0;
    std::uint64_t sector = 0;
    std::memcpy(&type, header, sizeof type);
    std::memcpy(&sector, header + 8, sizeof sector);
    const bool is_write = type == 1;
    std::erase_if(
        data, [&](const Piece& piece) { return piece.is_written == is_write || piece.size == 0; });
    std::uint32_t written = 0;
    std::uint8_t status = 2;
    if (type <= 1) status = transfer(data, sector, is_write, written) ? 0 : 1;
    if (type == 4) status = is_broken ? 1 : 0;
    if (type == 8) status = identify(data, written) ? 0 : 1;
    if (!memory_.put(status_at, status)) return std::nullopt;
    return written + 1;
  }

  bool transfer(const std::vector<Piece>& data, std::uint64_t sector, bool is_write,
                std::uint32_t& written) {
    std::uint64_t size = 0;
    for (const Piece& piece : data)
      size += piece.size;
    const std::uint64_t sectors = content.size() / 512;
    if (size % 512 != 0 || sector > sectors || size / 512 > sectors - sector) return false;
    if (is_write && is_read_only) return false;
    std::byte* disk = content.data() + sector * 512;
    for (const Piece& piece : data) {
      std::byte* const there =
          memory_.at(piece.address, piece.size, is_write ? For::Reading : For::Writing);
      if (there == nullptr) return false;
      if (is_broken) {
        // A read that failed has left zeros, a megabyte at most.
        if (!is_write && !is_remote)
          std::memset(there, 0, std::min<std::uint32_t>(piece.size, 1u << 20));
        return false;
      }
      std::memcpy(is_write ? disk : there, is_write ? there : disk, piece.size);
      disk += piece.size;
      if (!is_write) written += piece.size;
    }
    return true;
  }

  bool identify(const std::vector<Piece>& data, std::uint32_t& written) {
    std::string_view name("ringside-0\0\0\0\0\0\0\0\0\0\0", 20);
    for (const Piece& piece : data) {
      const std::size_t size = std::min<std::size_t>(piece.size, name.size());
      std::byte* const to = memory_.at(piece.address, size, For::Writing);
      if (to == nullptr) return false;
      std::memcpy(to, name.data(), size);
      name.remove_prefix(size);
      written += static_cast<std::uint32_t>(size);
    }
    return name.empty();
  }

  PlainMemory& memory_;
  std::vector<Piece> chain_;
};

}  // namespace ringside::fuzz
