-- Reasons of the channel inflated_bill: the bill without top-ups against the peers' median, and the whole bill against
-- the claim's own tariff where it is above it. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        amount_claimed - topup_amount AS price,
        price_peers_words(
            price_level, inacbg_code, replace(severity_group, '_', ' '), facility_class,
            'kelas rawat', ward_class, 'regional', tariff_region
        ) AS peers_id,
        price_peers_words(
            price_level, inacbg_code, replace(severity_group, '_', ' '), facility_class,
            'ward class', ward_class, 'region', tariff_region
        ) AS peers_en,
        coalesce(tariff_ln_ratio > 0.01, FALSE) AS above_tariff
    FROM suspects
    WHERE surprise_inflated_bill >= $reason_from
)

SELECT
    claim_id,
    'inflated_bill' AS code,
    surprise_inflated_bill AS strength,
    format(
        'tagihan {} = {} median {} klaim sejenis ({})',
        rupiah_id(price),
        times_id(price, price_median),
        count_id(price_n),
        peers_id
    ) || if(
        above_tariff,
        format(', {} tarif INA-CBG-nya sendiri ({})', times_id(exp(tariff_ln_ratio), 1), rupiah_id(inacbg_tariff)),
        ''
    ) AS text_id,
    format(
        'billed {} = {} the median of {} similar claims ({})',
        rupiah_en(price),
        times_en(price, price_median),
        count_en(price_n),
        peers_en
    ) || if(
        above_tariff,
        format(', {} its own INA-CBG tariff ({})', times_en(exp(tariff_ln_ratio), 1), rupiah_en(inacbg_tariff)),
        ''
    ) AS text_en,
    json_object(
        'price', price, 'price_median', price_median, 'price_n', price_n, 'price_level', price_level,
        'inacbg_tariff', inacbg_tariff, 'excess_amount', excess_amount
    ) AS figures
FROM described
